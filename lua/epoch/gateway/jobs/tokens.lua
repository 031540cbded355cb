--- The tokens of the store that is served, for all workers: read in a thread, put into the dictionary
-- that they share. For epoch.gateway.thread.
--
--     access:tokens    the version, LF, the bytes of the file ("" where there is none)
--     access:version   that version
--     access:at        when the store has last said so
--     access:turn      somebody is asking
local impatient = require "epoch.gateway.jobs.impatient"
local errors = require "epoch.errors"
local tokens = require "epoch.gateway.access.tokens"

local M = {}

local NONE = "none"

-- The file, when it is not the known version: { version, bytes }; true when it is.
local function read(store, known)
  local info, err = store:head(tokens.KEY)
  if not info then
    if err.kind ~= "not_found" then
      return nil, err
    end
    return known == NONE or { version = NONE, bytes = "" }
  elseif info.etag == known then
    return true
  end
  local bytes
  bytes, info = store:read(tokens.KEY, tokens.MAX)
  return bytes and { version = info.etag, bytes = bytes }, info
end

local function keep(dict, found)
  local ok, why = dict:set("access:tokens", found.version .. "\n" .. found.bytes)
  if not ok then
    return errors.fail("internal", ("%s does not fit into lua_shared_dict epoch: %s"):format(tokens.KEY, why))
  end
  dict:set("access:version", found.version)
  return true
end

--- Asks the store once, however long the request that wanted it is still there.
---@param home table
---@param spec table
---@return true?
---@return epoch.Error?
function M.refresh(home, spec)
  local nginx = rawget(_G, "ngx")
  local dict = nginx.shared.epoch
  local known = dict:get("access:tokens") and dict:get("access:version") or nil -- it may have had to make room
  local asked, err = impatient.home(home, spec)
  local found
  if asked then
    found, err = read(asked.store, known)
  end
  local ok = found
  if found and found ~= true then
    ok, err = keep(dict, found)
  end
  if ok then
    dict:set("access:at", nginx.now())
  end
  dict:delete("access:turn")
  return ok and true, err
end

--- The bytes of the file.
---@param home table
---@return string?
---@return epoch.Error?
function M.read(home)
  return home.store:read(tokens.KEY, tokens.MAX)
end

return M
