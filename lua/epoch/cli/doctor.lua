--- epoch doctor [--json]: what this machine has of what is needed. What only some commands need is
-- said, and is no failure.
local errors = require "epoch.errors"
local json = require "epoch.json"
local output = require "epoch.cli.output"
local tables = require "epoch.cli.table"

local M = {}

-- It works without a core, so that it can say that there is none.
local CHECKS = "epoch.cli.doctor.checks"

-- The first check, on which all others depend.
local function check_core()
  local ok, core = pcall(require, "epoch.core")
  if ok then
    local versions
    ok, versions = pcall(core.versions)
    if ok then
      return { state = "ok", detail = ("for %s, with %s, OpenSSL %s"):format(output.lua_name(),
        versions.curl:match("^%S+"), versions.openssl) }
    end
    core = versions
  end
  return { state = "missing", detail = ("it cannot be loaded into %s: run make where epoch.lua is (%s)"):format(
    output.lua_name(), tostring(core):match("^[^\n]*")) }
end

local function look(args)
  local found = { check_core() }
  found[1].what, found[1].needed = "core", "everything"
  if found[1].state == "ok" then
    require(CHECKS).each(args, function(one) found[#found + 1] = one end)
  end
  return found
end

local function as_json(found, good)
  local list = {}
  for i, one in ipairs(found) do
    list[i] = json.object {
      { "check", one.what }, { "state", one.state }, { "needed_for", one.needed }, { "detail", one.detail },
    }
  end
  return json.object { { "ok", good }, { "checks", json.array(list) } }
end

local function as_text(found)
  local rows = { { "CHECK", "STATE", "NEEDED FOR", "DETAIL" } }
  for i, one in ipairs(found) do
    rows[i + 1] = { one.what, one.state, one.needed, one.detail }
  end
  return tables.format(4, rows)
end

function M.run(_, args)
  local found, missing = look(args), {}
  for _, one in ipairs(found) do
    if one.state == "missing" then
      missing[#missing + 1] = one.what
    end
  end
  local good = #missing == 0
  local ok, err
  if args.json then
    ok, err = output.write_json(as_json(found, good))
  else
    ok, err = output.write(as_text(found))
  end
  return ok, err or not good and errors.new("unsupported", ("%s %s not as needed; the table says why"):format(
    table.concat(missing, ", "), #missing == 1 and "is" or "are"), { op = "doctor" }) or nil
end

return M
