--- Homes by name: what people write for the place where artifacts live, opened.
--
--     local home = home.open(task, "file:///srv/vms")
--
-- `home.schemes` maps the word before the first ":" to a function (task, HOME, options) that
-- answers a home or nil, err; others add theirs. What has no word there is the address of a
-- registry: HOST[:PORT][/PATH]. `options` are those of epoch.client for a registry. DIR is
-- taken as it stands, without escapes.
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local layout = require "epoch.layout"
local registry = require "epoch.registry"
local text = require "epoch.text"

local M = {}

local function bad(home, why)
  return errors.fail("usage", ("the home %s cannot be used: %s"):format(text.quote(home), why))
end

local function check_path(home, path)
  if path == "" then
    return bad(home, "it names no directory")
  elseif path:find("%c") then
    return bad(home, "a control character in the name of the directory")
  end
  return path
end

-- Loaded when it is needed: a directory needs no HTTP.
local CLIENT = "epoch.client"

local function remote(task, home, options)
  local given = { url = home }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return require(CLIENT).new(task, given)
end

M.schemes = {
  http = remote,
  https = remote,

  file = function(task, home)
    local path = home:match("^file://(/.*)$")
    if not path then
      return bad(home, "it must look like file:///DIR, with an absolute path")
    end
    local ok, err = check_path(home, path)
    return ok and registry.new(task, directory.open(task, path)), err
  end,

  oci = function(task, home)
    local path, err = check_path(home, (home:gsub("^oci:", "")))
    return path and layout.open(task, path), err
  end,
}

--- Opens a home. What is found wrong with its name only is kind "usage".
---@param task epoch.task
---@param home string
---@param options table? of epoch.client, for a registry
---@return table? home
---@return epoch.Error?
function M.open(task, home, options)
  if type(home) ~= "string" then
    error("a home must be a string, not a " .. type(home), 2)
  end
  local open = M.schemes[home:match("^(%a[%w+.-]*):")]
  if not open and hosts.check(home:match("^[^/]*")) and not home:find("://", 1, true) then
    open = remote
  end
  if not open then
    return bad(home, "it is none of file:///DIR, oci:DIR or the address of a registry, "
      .. "[http[s]://]HOST[:PORT][/PATH]")
  end
  return open(task, home, options)
end

return M
