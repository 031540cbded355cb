--- The Lua paths of docs/api-map.md, looked up in the module itself.
--
--     epoch.snapshot.cocoon_binary_env                  what is there
--     epoch.snapshot.stream(task, raw, downloader, {})  a function of so many arguments
--     epoch.snapshot.pusher{}:push{ tag }               an option that a call knows
--     epoch.snapshot.pusher{}:push{}.tag                a member of what a call answers
--     epoch.manifest.v1.parse(raw).layers[1].title      … of the first of a list
--     epoch.snapshot.pusher{ uploader:blob_exists(name, digest) }
--                                                       what is asked of a port
--
-- A world has what the calls on the way to the last name are made with: `words`, the values of
-- the words in brackets, and `options`, by the path up to the bracket, of the calls' tables.
-- Each such call is made once.

local M = {}

local World = {}
World.__index = World

--- A world to look paths up in.
function M.world(words, options)
  return setmetatable({ words = words, options = options, values = {} }, World)
end

--- A port that notes with how many arguments it is asked what: calls.put_blob == 4.
function M.watched(port)
  local calls = {}
  return setmetatable({ calls = calls }, { __index = function(_, method)
    return function(_, ...)
      calls[method] = select("#", ...)
      return port[method](port, ...)
    end
  end })
end

local function fail(form, ...)
  error(form:format(...), 0)
end

-- Words and, at the end, a table of options: names, and what stands between the braces or nil.
local function arguments(bracket)
  if bracket:find("^{") then
    return {}, bracket:match("^{%s*(.-)%s*}$")
  end
  local words, option = {}, nil
  local inside = bracket:sub(2, -2):gsub(",?%s*(%b{})$", function(last)
    option = last:match("^{%s*(.-)%s*}$")
    return ""
  end)
  for word in inside:gmatch("[^,%s]+") do
    words[#words + 1] = word
  end
  return words, option
end

-- What a call is made with, its object first where it has one.
function World:given(c)
  local values = { c.owner }
  for _, word in ipairs(c.words) do
    if self.words[word] == nil then
      fail("the spec has no value for %s", word)
    end
    values[#values + 1] = self.words[word]
  end
  if c.option then
    values[#values + 1] = self.options[c.path] or {}
  end
  return values
end

-- A call that has been taken apart: its function, what comes before the first argument, the
-- words, the option, and the path up to the bracket.
local function call(owner, f, bracket, path)
  if type(f) ~= "function" then
    fail("%s is no function, but %s", path, tostring(f))
  end
  local words, option = arguments(bracket)
  local n = #words + (option and 1 or 0) + (owner ~= nil and 1 or 0)
  local takes = debug.getinfo(f, "u").nparams
  if n ~= takes then
    fail("%s takes %d arguments, self among them, not %d", path, takes, n)
  end
  return { owner = owner, f = f, words = words, option = option, path = path }
end

-- No function here has more than five.
local function apply(f, values)
  return f(values[1], values[2], values[3], values[4], values[5])
end

function World:made(c, bracket)
  local key = c.path .. bracket
  if self.values[key] == nil then
    local value, err = apply(c.f, self:given(c))
    if value == nil then
      fail("%s: %s", key, tostring(err))
    end
    self.values[key] = value
  end
  return self.values[key]
end

-- An option is known when a wrong value for it is refused by its name, and no other is.
function World:check_option(c, name)
  local values = self:given(c)
  local wrong = {}
  for key, value in pairs(values[#values]) do
    wrong[key] = value
  end
  wrong[name] = false
  values[#values] = wrong
  local ok, message = pcall(apply, c.f, values)
  if ok or not tostring(message):find(('option "%s" must'):format(name), 1, true) then
    fail("%s knows no option %s: %s", c.path, name, ok and "it takes anything" or message)
  end
end

function World:check_port(c, name, method, bracket)
  self:check_option(c, name)
  local n = (self.options[c.path] or {})[name].calls[method]
  local words, option = arguments(bracket)
  if n ~= #words + (option and 1 or 0) then
    fail("%s calls %s:%s with %s arguments", c.path, name, method, tostring(n))
  end
end

function World:check_call(c)
  local name, method, bracket = (c.option or ""):match("^([%w_]+):([%w_]+)(%b())$")
  if name then
    self:check_port(c, name, method, bracket)
  elseif c.option and c.option ~= "" then
    self:check_option(c, c.option)
  else
    self:given(c)
  end
end

--- Looks a path up; raises, with the reason, when it leads nowhere.
---@param path string
---@return any value what is there, where the path does not end with a call
function World:resolve(path)
  local at = select(2, path:find("^epoch")) or fail("it does not begin with epoch")
  local value, owner = require "epoch", nil
  while at < #path do
    local bracket = path:match("^%b{}", at + 1) or path:match("^%b()", at + 1)
    local mark, name = path:match("^([.:])([%a_][%w_]*)", at + 1)
    local index = path:match("^%[(%d+)%]", at + 1)
    if bracket then
      local c = call(owner, value, bracket, path:sub(1, at))
      at, owner = at + #bracket, nil
      if at == #path then
        return self:check_call(c)
      end
      value = self:made(c, bracket)
    elseif mark or index then
      owner = mark == ":" and value or nil
      value = value[name or tonumber(index)]
      at = at + (name and 1 + #name or 2 + #index)
      if value == nil then
        fail("%s is not there", path:sub(1, at))
      end
    else
      fail("what is %s?", path:sub(at + 1))
    end
  end
  return value
end

return M
