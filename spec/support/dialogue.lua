--- A program on a terminal of its own (made by script(1)), and somebody who types there.
--
--     local d = dialogue.start(loop, "stty -a")
--     d:expect("Password: ")  d:type("secret\n")
--     local shown, code = d:finish()

local core = require "epoch.core"
local http = require "spec.support.http"

local Dialogue = {}
Dialogue.__index = Dialogue

local M = {}

local LIMIT = 20 -- seconds after which nothing more is expected

---@param loop userdata
---@param command string for the shell
---@param env table<string, string>?
function M.start(loop, command, env)
  local given = { PATH = os.getenv("PATH"), LC_ALL = "C.UTF-8", SHELL = "/bin/sh" }
  for name, value in pairs(env or {}) do
    given[name] = value
  end
  local process = assert(loop:spawn {
    argv = { assert(core.which("script")), "-qec", command, "/dev/null" }, env = given,
    stdin = "pipe", stdout = "pipe",
  })
  return setmetatable({
    loop = loop, process = process, input = process:stdin(), output = process:stdout(), shown = "", at = 1,
    deadline = core.now() + LIMIT,
  }, Dialogue)
end

-- The next piece that is shown, false at the end.
local function piece(self)
  while true do
    local bytes, message, code = self.output:read(4096)
    if bytes ~= nil or code ~= "again" then
      return assert(bytes ~= nil and { bytes }, message)[1]
    elseif core.now() > self.deadline then
      error("nothing more is shown after: " .. self.shown, 3)
    end
    self.output:arm(self.loop)
    assert(self.loop:poll(1))
  end
end

--- Waits until these words are shown, after those that were expected before.
---@param words string
function Dialogue:expect(words)
  while true do
    local _, last = self.shown:find(words, self.at, true)
    if last then
      self.at = last + 1
      return
    end
    local more = piece(self)
    if not more then
      error(("the end, and no %q in: %s"):format(words, self.shown), 2)
    end
    self.shown = self.shown .. more
  end
end

---@param bytes string
function Dialogue:type(bytes)
  assert(http.await(self.loop, self.input, "write", bytes) == #bytes)
end

--- Waits for the end: all that was shown, and the exit code.
---@return string shown
---@return integer code
function Dialogue:finish()
  local more = piece(self)
  while more do
    self.shown = self.shown .. more
    more = piece(self)
  end
  self.input:close()
  local result = assert(http.await(self.loop, self.process, "wait"))
  self.process:close()
  return self.shown, result.code
end

return M
