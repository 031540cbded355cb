--- Homes by name: what people write for the place where artifacts live, opened.
--
--     local home = home.open(task, "file:///srv/vms")
--
-- `home.schemes` maps the word before the first ":" to a function (task, HOME, options) that
-- answers a home or nil, err; others add theirs. What has no word there is the address of a
-- registry: HOST[:PORT][/PATH]. `options` are those of epoch.client for a registry, those of
-- epoch.objectstore.s3 for a bucket. DIR is taken as it stands, without escapes.
local directory = require "epoch.objectstore.directory"
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local layout = require "epoch.layout"
local objectstore = require "epoch.objectstore"
local registry = require "epoch.registry"
local schema = require "epoch.config.schema"
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

-- Loaded when they are needed: a directory needs no HTTP.
local CLIENT, S3, BUCKETS = "epoch.client", "epoch.objectstore.s3", "epoch.s3.endpoint"

local function with(options, more)
  local given = {}
  for _, from in ipairs { options or {}, more } do
    for name, value in pairs(from) do
      given[name] = value
    end
  end
  return given
end

local function remote(task, home, options)
  return require(CLIENT).new(task, with(options, { url = home }))
end

-- A bucket, or what lies there under the prefix in the home, else under that of the options.
local function in_bucket(task, home, options)
  local bucket, prefix = home:match("^s3://([^/]*)/?(.-)/?$")
  if not bucket then
    return bad(home, "it must look like s3://BUCKET[/PREFIX]")
  end
  local ok, why = require(BUCKETS).check_bucket(bucket)
  if not ok then
    return bad(home, why)
  end
  local good, err = objectstore.check_prefix(prefix)
  if not good then
    return bad(home, err.message)
  end
  if prefix == "" then
    prefix = options and options.prefix or schema.DEFAULTS.s3.prefix
  end
  local store
  store, err = require(S3).open(task, with(options, { bucket = bucket, prefix = prefix }))
  return store and registry.new(task, store), err
end

M.schemes = {
  http = remote,
  https = remote,
  s3 = in_bucket,

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
---@param options table? of epoch.client or epoch.objectstore.s3
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
    return bad(home, "it is none of file:///DIR, s3://BUCKET[/PREFIX], oci:DIR or the address of a registry, "
      .. "[http[s]://]HOST[:PORT][/PATH]")
  end
  return open(task, home, options)
end

return M
