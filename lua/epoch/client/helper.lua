--- docker-credential-NAME programs: secrets kept by the desktop or the cloud. What they are
--- told and what they say goes through pipes, never through arguments.
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local text = require "epoch.text"

local M = {}

local MAX = 64 * 1024

--- What helpers say for a host they know nothing of.
local NOT_FOUND = "credentials not found"

local function find(name, search)
  if not name:find("^[%w][%w._-]*$") then
    return errors.fail("config", ("the credential helper %s has no proper name"):format(text.quote(name)))
  end
  local path, message = core.which("docker-credential-" .. name, search)
  if not path then
    return errors.fail("process", message .. "; install it, or take it out of docker's config.json")
  end
  return path
end

-- Feeds the child and reads what it says, until both are done.
local function talk(task, process, input)
  local sink = core.collect(MAX)
  local said, err = task:flow { source = process:stdout(), sink = sink }
  local output = said and sink:bytes()
  sink:close()
  input:close()
  if not said then
    task:await(process, "stop", { grace = 1 })
    return nil, err
  end
  local result
  result, err = task:await(process, "wait")
  if not result then
    return nil, err
  end
  return { output = output, code = result.code, stderr = result.stderr }
end

local function run(task, name, verb, words, search)
  local path, err = find(name, search)
  if not path then
    return nil, err
  end
  local process, message, code = task.loop:spawn {
    argv = { path, verb }, stdin = "pipe", stdout = "pipe", stderr = "null",
  }
  if not process then
    return errors.fail(code, message)
  end
  -- runs beside the reading; a helper that does not read its input is not waited for
  local input
  input, message, code = task.loop:flow { source = core.bytes(words), sink = process:stdin() }
  local result
  if input then
    result, err = talk(task, process, input)
  else
    result, err = errors.fail(code, message)
  end
  process:close()
  if not result then
    return nil, errors.wrap(err, ("docker-credential-%s %s"):format(name, verb))
  elseif result.code ~= 0 then
    local said = result.output ~= "" and result.output or result.stderr
    if said:find(NOT_FOUND, 1, true) then
      return false
    end
    return errors.fail("process", ("docker-credential-%s %s failed: %s"):format(name, verb,
      text.quote((said:gsub("%s+$", "")), 200)))
  end
  return result.output
end

--- The credential kept for a host, or false.
---@param task epoch.task
---@param name string
---@param host string
---@param search string? where programs are, as PATH has it
---@return epoch.Credential|false|nil
---@return epoch.Error?
function M.get(task, name, host, search)
  local output, err = run(task, name, "get", host, search)
  if not output then
    return output, err
  end
  local value = json.decode(output)
  if type(value) ~= "table" or type(value.Username) ~= "string" or type(value.Secret) ~= "string" then
    return errors.fail("process", ("docker-credential-%s get: no answer as helpers give it"):format(name))
  elseif value.Secret == "" then
    return false
  elseif value.Username == "<token>" then
    return { identity_token = value.Secret }
  end
  return { username = value.Username, password = value.Secret }
end

--- Keeps a credential.
---@return true?
---@return epoch.Error?
function M.store(task, name, host, credential, search)
  local words, err = json.encode(json.object {
    { "ServerURL", host },
    { "Username", credential.identity_token and "<token>" or credential.username },
    { "Secret", credential.identity_token or credential.password },
  })
  if not words then
    return nil, err
  end
  local output
  output, err = run(task, name, "store", words, search)
  if output == nil then
    return nil, err
  end
  return true
end

--- Forgets a host; one that is not known is fine.
---@return true?
---@return epoch.Error?
function M.erase(task, name, host, search)
  local output, err = run(task, name, "erase", host, search)
  if output == nil then
    return nil, err
  end
  return true
end

return M
