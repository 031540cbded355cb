--- Which action a request asks for: method and path, taken apart and checked. Pure.
--
-- A route names the `action`, the `right` that it takes ("pull", "push", "delete", "catalog"; nil:
-- none), and what it is about: `name`, `reference` ("tag" or "digest" in `kind`), `digest`, `session`.
-- The path is the decoded one; every name, tag and digest in it has been checked when a route comes
-- back, so keys can be made of them.
local errors = require "epoch.errors"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

local function route(action, right, fields)
  local made = fields or {}
  made.action, made.right = action, right
  return made
end

-- A handler for each method; HEAD is a GET whose body is not sent.
local function by_method(method, methods)
  local make = methods[method] or method == "HEAD" and methods.GET
  if make then
    return make()
  end
  local allowed = {}
  for name in pairs(methods) do
    allowed[#allowed + 1] = name
  end
  if methods.GET then
    allowed[#allowed + 1] = "HEAD"
  end
  table.sort(allowed)
  local err = errors.new("unsupported", ("%s is not possible here, only %s"):format(text.printable(method, 20),
    table.concat(allowed, ", ")), { status = 405 })
  return nil, err, "UNSUPPORTED", table.concat(allowed, ", ")
end

local function only(action, right, fields)
  return function() return route(action, right, fields) end
end

-- A reference that cannot be is not there for who reads; who writes is told.
local function manifest(method, name, given)
  local kind, err = reference.tag_or_digest(given)
  if not kind then
    if method == "GET" or method == "HEAD" then
      return nil, errors.new("not_found", err.message), "MANIFEST_UNKNOWN"
    end
    return nil, err, given:find(":", 1, true) and "DIGEST_INVALID" or "TAG_INVALID"
  end
  local fields = { name = name, reference = given, kind = kind }
  return by_method(method, {
    GET = only("manifest_get", "pull", fields),
    PUT = only("manifest_put", "push", fields),
    DELETE = only("manifest_delete", "delete", fields),
  })
end

local function with_digest(name, digest)
  local ok, err = reference.check_digest(digest)
  if not ok then
    return nil, err, "DIGEST_INVALID"
  end
  return { name = name, digest = digest }
end

local function blob(method, name, digest)
  local fields, err, code = with_digest(name, digest)
  if not fields then
    return nil, err, code
  end
  return by_method(method, {
    GET = only("blob_get", "pull", fields),
    PUT = only("blob_put", "push", fields), -- the Go reference's own dialect
    DELETE = only("blob_delete", "delete", fields),
  })
end

local function uploads(method, name)
  return by_method(method, { POST = only("upload_start", "push", { name = name }) })
end

local function upload(method, name, session)
  if not session:find("^[0-9a-f-]+$") or #session > 64 then
    return nil, errors.new("not_found", "there is no such upload"), "BLOB_UPLOAD_UNKNOWN"
  end
  local fields = { name = name, session = session }
  return by_method(method, {
    GET = only("upload_status", "push", fields),
    PATCH = only("upload_append", "push", fields),
    PUT = only("upload_finish", "push", fields),
    DELETE = only("upload_cancel", "push", fields),
  })
end

local function referrers(method, name, digest)
  local fields, err, code = with_digest(name, digest)
  if not fields then
    return nil, err, code
  end
  return by_method(method, { GET = only("referrers", "pull", fields) })
end

local function tags(method, name)
  return by_method(method, { GET = only("tags", "pull", { name = name }) })
end

-- What may stand behind a repository's name, and what it leads to.
local BEHIND = {
  { "^(.+)/manifests/([^/]+)$", manifest },
  { "^(.+)/blobs/uploads/?$", uploads },
  { "^(.+)/blobs/uploads/([^/]+)$", upload },
  { "^(.+)/blobs/([^/]+)$", blob },
  { "^(.+)/referrers/([^/]+)$", referrers },
  { "^(.+)/tags/list$", tags },
}

local function unknown(path)
  return nil, errors.new("not_found", ("nothing is at %s here"):format(text.quote(path, 200))), "UNSUPPORTED"
end

local function v2(method, path)
  local rest = path:sub(#"/v2/" + 1)
  if rest == "" then
    return by_method(method, { GET = only("ping") })
  elseif rest == "_catalog" then
    return by_method(method, { GET = only("catalog", "catalog") })
  elseif rest == "token" then
    return by_method(method, { GET = only("token"), POST = only("token") })
  end
  for _, one in ipairs(BEHIND) do
    local name, last = rest:match(one[1])
    if name then
      local ok, err = reference.check_name(name)
      if not ok then
        return nil, err, "NAME_INVALID"
      end
      return one[2](method, name, last)
    end
  end
  return unknown(path)
end

local function download(method, path)
  local name, tag = path:match("^/dl/([^:@]+):?([^:@]*)$")
  local ok, err = reference.check_name(name or "")
  if ok and tag ~= "" then
    ok, err = reference.check_tag(tag)
  end
  if not ok then
    return nil, errors.new("not_found", "nothing can be downloaded here: " .. err.message), "NAME_UNKNOWN"
  end
  return by_method(method, {
    GET = only("download", "pull", { name = name, reference = tag == "" and "latest" or tag, kind = "tag" }),
  })
end

-- What is shown of a repository: the tag whose name comes last, all its tags, or itself.
local API = {
  { "^(.+)/tags/([^/]+)$", function(method, name, tag)
    if not reference.check_tag(tag) then
      return nil, errors.new("not_found", "tag not found"), "MANIFEST_UNKNOWN"
    end
    local fields = { name = name, reference = tag, kind = "tag" }
    return by_method(method, { GET = only("api_tag", "pull", fields), DELETE = only("api_delete", "delete", fields) })
  end },
  { "^(.+)/tags$", function(method, name)
    return by_method(method, { GET = only("api_tags", "pull", { name = name }) })
  end },
  { "^(.+)$", function(method, name)
    return by_method(method, { GET = only("api_repository", "pull", { name = name }) })
  end },
}

local function api(method, path)
  if path == "/api/stats" then
    return by_method(method, { GET = only("api_stats", "catalog") })
  elseif path == "/api/repositories" then
    return by_method(method, { GET = only("api_repositories", "catalog") })
  end
  for _, one in ipairs(API) do
    local name, last = (path:match("^/api/repositories/(.+)$") or ""):match(one[1])
    if name and not reference.check_name(name) then
      return nil, errors.new("not_found", "repository not found"), "NAME_UNKNOWN"
    elseif name then
      return one[2](method, name, last)
    end
  end
  return unknown(path)
end

local PLACES = {
  ["/v2"] = function(method) return v2(method, "/v2/") end,
  ["/healthz"] = function(method) return by_method(method, { GET = only("healthz") }) end,
  ["/readyz"] = function(method) return by_method(method, { GET = only("readyz") }) end,
  ["/metrics"] = function(method) return by_method(method, { GET = only("metrics") }) end,
}

local BELOW = { v2 = v2, dl = download, api = api }

local DOTS = { ["."] = true, [".."] = true }

--- Is a path as it was sent the one that is routed? nginx takes the segments "." and ".." out of it, and
-- another path would be answered than the one that a proxy in front has let through.
---@param uri string as it stands in the request, coded, with its query
---@return true?
---@return epoch.Error?
---@return string? code
function M.check_sent(uri)
  local path = uri:gsub("^%a[%w+.-]*://[^/?#]*", ""):match("^[^?#]*")
  path = path:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
  for segment in path:gmatch("[^/]+") do
    if DOTS[segment] then
      return nil, errors.new("invalid", ("path %s: no part of a name can be %s"):format(text.quote(path, 200),
        text.quote(segment))), "NAME_INVALID"
    end
  end
  return true
end

--- The route for a request.
---@param method string
---@param path string decoded
---@return table? route
---@return epoch.Error?
---@return string? code of the registry's errors
---@return string? allow for a header, when only the method is wrong
function M.parse(method, path)
  local place = PLACES[path] or BELOW[path:match("^/([^/]+)/")]
  if not place then
    return unknown(path)
  end
  return place(method, path)
end

return M
