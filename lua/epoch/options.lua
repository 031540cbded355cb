--- Option tables, checked against a schema before anything is done with them.
--
--     local SCHEMA = {
--       tag = { type = "string", default = "latest" },
--       retries = { type = "integer", min = 0, max = 20 },
--       progress = { enum = { "auto", "bar", "none" } },
--       annotations = { map = { type = "string" } },       -- string keys, checked values
--       platforms = { array = { type = "string" } },       -- a list
--       tls = { fields = { ca_cert = { type = "string" } } }, -- a table of options again
--       body = { type = { "string", "function" }, required = true },
--     }
--
--     function M.push(opts)
--       opts = options.check("epoch.push", SCHEMA, opts)
--
-- A wrong option is misuse and raises, where the option table was written: unknown names
-- too, with the name that was probably meant. The answer is a copy with the defaults
-- filled in, down to nested tables (a value of type "table" is passed on as it is); the
-- caller's table is never changed.
--
-- `min` and `max` hold for numbers and for the length of strings and lists; `check` is a
-- function that gets the value and answers true or nil and what is wrong ("must be …").
local nearest = require "epoch.nearest"
local text = require "epoch.text"
local whole = require "epoch.whole"

local M = {}

local RULES = {
  type = true, required = true, default = true, enum = true, min = true, max = true,
  array = true, map = true, fields = true, check = true,
}

-- For messages: what a value is.
local function kind_of(value)
  local t = type(value)
  if t == "string" then
    return text.quote(value, 40)
  elseif t == "number" or t == "boolean" or t == "nil" then
    return tostring(value)
  end
  return "a " .. t
end

local function a(word)
  return (word:find("^[aeiou]") and "an " or "a ") .. word
end

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then
    return value
  end
  local t = {}
  for k, v in pairs(value) do
    t[k] = copy(v)
  end
  return t
end

-- Each check answers true and the value to use, or false and what is wrong with it.

local check_value, check_table

local function check_type(wanted, value)
  if wanted == "any" then
    return true, value
  elseif wanted == "integer" then
    local n = whole.from(value)
    return n ~= nil, n
  end
  return type(value) == wanted and value == value, value -- nan is no number to work with
end

local function check_types(wanted, value)
  if type(wanted) ~= "table" then
    wanted = { wanted }
  end
  local words = {}
  for i, one in ipairs(wanted) do
    local ok, v = check_type(one, value)
    if ok then
      return true, v
    end
    words[i] = one == "integer" and "a whole number" or a(one)
  end
  return false, ("must be %s, not %s"):format(table.concat(words, " or "), kind_of(value))
end

local function check_enum(enum, value)
  for _, one in ipairs(enum) do
    if one == value then
      return true, value
    end
  end
  local words = {}
  for i, one in ipairs(enum) do
    words[i] = kind_of(one)
  end
  return false, ("must be one of %s, not %s%s"):format(table.concat(words, ", "),
    kind_of(value), type(value) == "string" and nearest.hint(value, enum) or "")
end

local function check_bounds(rule, value)
  local n, unit = value, ""
  if type(value) == "string" then
    n, unit = #value, " bytes long"
  elseif type(value) == "table" then
    n, unit = #value, " items long"
  end
  if rule.min and n < rule.min then
    return false, ("must be at least %s%s, not %s"):format(rule.min, unit, n)
  elseif rule.max and n > rule.max then
    return false, ("must be at most %s%s, not %s"):format(rule.max, unit, n)
  end
  return true, value
end

local function check_array(rule, value, path)
  if type(value) ~= "table" then
    return false, "must be a list, not " .. kind_of(value)
  end
  local n, out = 0, {}
  for key in pairs(value) do
    if not (whole.from(key) and key >= 1) then
      return false, "must be a list, but has the key " .. kind_of(key)
    end
    n = n + 1
  end
  for i = 1, n do
    if value[i] == nil then
      return false, ("must be a list without gaps, but has nothing at %d"):format(i)
    end
    local ok, v, where = check_value(rule, value[i], ("%s[%d]"):format(path, i))
    if not ok then
      return false, v, where
    end
    out[i] = v
  end
  return true, out
end

local function check_map(rule, value, path)
  if type(value) ~= "table" then
    return false, "must be a table with names as keys, not " .. kind_of(value)
  end
  local out = {}
  for key, one in pairs(value) do
    if type(key) ~= "string" then
      return false, "must have names as keys, not " .. kind_of(key)
    end
    local ok, v, where = check_value(rule, one, path .. "." .. text.printable(key, 80))
    if not ok then
      return false, v, where
    end
    out[key] = v
  end
  return true, out
end

function check_value(rule, value, path)
  local ok, v, where = true, value, nil
  if rule.type then
    ok, v = check_types(rule.type, value)
  elseif rule.array then
    ok, v, where = check_array(rule.array, value, path)
  elseif rule.map then
    ok, v, where = check_map(rule.map, value, path)
  elseif rule.fields then
    ok, v, where = check_table(rule.fields, value, path .. ".")
  end
  if ok and rule.enum then
    ok, v = check_enum(rule.enum, v)
  end
  if ok and (rule.min or rule.max) then
    ok, v = check_bounds(rule, v)
  end
  if ok and rule.check then
    local good, why = rule.check(v)
    if not good then
      ok, v = false, why or "is not acceptable"
    end
  end
  return ok, v, where or path
end

function check_table(schema, given, prefix)
  if type(given) ~= "table" then
    return false, "must be a table, not " .. kind_of(given), prefix:sub(1, -2)
  end
  for key in pairs(given) do
    if type(key) ~= "string" then
      return false, ("options have names, this one is %s"):format(kind_of(key)),
        prefix .. tostring(key)
    elseif not schema[key] then
      return false, "is unknown" .. nearest.hint(key, schema),
        prefix .. text.printable(key, 80)
    end
  end
  local out = {}
  for name, rule in pairs(schema) do
    for word in pairs(rule) do
      assert(RULES[word], "unknown rule in an option schema: " .. tostring(word))
    end
    if given[name] ~= nil then
      local ok, v, where = check_value(rule, given[name], prefix .. name)
      if not ok then
        return false, v, where
      end
      out[name] = v
    elseif rule.required then
      return false, "is required", prefix .. name
    else
      out[name] = copy(rule.default)
    end
  end
  return true, out
end

--- The checked copy, or nil and a sentence that says which option is wrong and why.
---@param what string whose options these are: "epoch.push"
---@param schema table
---@param given? table
---@return table? options
---@return string? message
function M.validate(what, schema, given)
  if given ~= nil and type(given) ~= "table" then
    return nil, ("%s takes a table of options, not %s"):format(what, kind_of(given))
  end
  local ok, v, where = check_table(schema, given or {}, "")
  if ok then
    return v
  end
  return nil, ('%s: option "%s" %s'):format(what, where, v)
end

--- The checked copy; raises when an option is wrong.
---@param what string
---@param schema table
---@param given? table
---@param level? integer whose fault it is, as for error(): 2, the default, is the caller of
--- the function that calls this one
---@return table
function M.check(what, schema, given, level)
  local checked, message = M.validate(what, schema, given)
  if not checked then
    error(message, (level or 2) + 1)
  end
  return checked
end

return M
