--- epoch config [--json]
local json = require "epoch.json"
local output = require "epoch.cli.output"
local settings = require "epoch.cli.settings"
local text = require "epoch.text"

local M = {}

local function word(value)
  if type(value) == "table" then
    local list = {}
    for i, one in ipairs(value) do
      list[i] = word(one)
    end
    return "{ " .. table.concat(list, ", ") .. " }"
  elseif type(value) == "string" then
    return text.quote(value, 200)
  end
  return tostring(value)
end

local function as_json(list)
  local out = {}
  for i, one in ipairs(list) do
    local value = one.value
    out[i] = { one.name, json.object {
      { "value", type(value) == "table" and json.array(value) or value },
      { "origin", one.origin },
    } }
  end
  return json.object(out)
end

local function as_table(list)
  local names, values, lines = 0, 0, {}
  for _, one in ipairs(list) do
    names, values = math.max(names, #one.name), math.max(values, math.min(#word(one.value), 40))
  end
  local form = ("%%-%ds  %%-%ds  %%s"):format(names, values)
  for i, one in ipairs(list) do
    lines[i] = form:format(text.printable(one.name), word(one.value), text.printable(one.origin))
  end
  return table.concat(lines, "\n") .. "\n"
end

function M.run(_, args)
  local loaded, err = settings.load(args)
  if not loaded then
    return nil, err
  end
  local list = loaded:list()
  if args.json then
    return output.write_json(as_json(list))
  end
  return output.write(as_table(list))
end

return M
