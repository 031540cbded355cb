--- epoch version [--json]
local json = require "epoch.json"
local output = require "epoch.cli.output"
local version = require "epoch.version"

local M = {}

-- The libraries in the core, { name, version } sorted by name; nil without core.
local function core_versions()
  local ok, core = pcall(require, "epoch.core")
  if not ok then
    return nil
  end
  local list = {}
  local versions = core.versions()
  local names = {}
  for name in pairs(versions) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = { name, versions[name] }
  end
  return list
end

function M.run(_, args)
  local core = core_versions()
  if args.json then
    return output.write_json(json.object {
      { "version", version },
      { "lua", output.lua_name() },
      { "core", core and json.object(core) or json.null },
    })
  end
  local lines = { "epoch " .. version, "on " .. output.lua_name() }
  if not core then
    lines[#lines + 1] = "without its core (run make)"
  end
  for _, entry in ipairs(core or {}) do
    -- libraries that name themselves in their version are not named twice
    lines[#lines + 1] = entry[2]:find("lib", 1, true) == 1 and entry[2]
      or entry[1] .. " " .. entry[2]
  end
  return output.write(table.concat(lines, "\n") .. "\n")
end

return M
