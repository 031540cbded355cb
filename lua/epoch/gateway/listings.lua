--- Lists: tags, repositories, and what refers to a manifest; a page at a time, in lexical order.
local access = require "epoch.gateway.access"
local json = require "epoch.json"
local reply = require "epoch.gateway.reply"
local requests = require "epoch.gateway.requests"
local threads = require "epoch.gateway.threads"
local ngx = require "ngx"

local M = {}

local INDEX = "application/vnd.oci.image.index.v1+json"

function M.tags(request)
  local page, err, code = requests.page()
  if not page then
    return nil, err, code
  end
  local found
  found, err = threads.call("store", "listings", "tags", request.name, page.n, page.last)
  if not found then
    return nil, err, err.kind == "not_found" and "NAME_UNKNOWN" or nil
  end
  if found.more then
    reply.next_page(ngx.var.uri, { n = page.n, last = found.last })
  end
  return reply.json(200, json.object { { "name", request.asked }, { "tags", json.array(found.list) } })
end

-- So many names are looked at in one go by who may not see all of them; and a page has no more.
local CHUNK = 1000

-- The names that may be seen: a page of them, as the thread would give one of all names.
local function seen(sight, n, last)
  n = math.min(n or CHUNK, CHUNK)
  local found = { list = {}, more = false }
  repeat
    local chunk, err = threads.call("store", "listings", "repositories", CHUNK, last)
    if not chunk then
      return nil, err
    end
    for _, name in ipairs(chunk.list) do
      local may
      may, err = sight(name)
      if may == nil then
        return nil, err
      elseif may and #found.list == n then
        found.more = n > 0
        return found
      elseif may then
        found.list[#found.list + 1], found.last = name, name
      end
    end
    last = chunk.last
  until not chunk.more
  return found
end

function M.catalog(request)
  local page, err, code = requests.page()
  if not page then
    return nil, err, code
  end
  local sight = access.sight(request)
  local found
  if sight then
    found, err = seen(sight, page.n, page.last)
  else
    found, err = threads.call("store", "listings", "repositories", page.n, page.last)
  end
  if not found then
    return nil, err
  end
  if found.more then
    reply.next_page(ngx.var.uri, { n = page.n, last = found.last })
  end
  return reply.json(200, json.object { { "repositories", json.array(found.list) } })
end

function M.referrers(request)
  local args = ngx.req.get_uri_args()
  local wanted, last = args.artifactType, args.last
  wanted, last = type(wanted) == "string" and wanted or nil, type(last) == "string" and last or nil
  local found, err = threads.call("store", "listings", "referrers", request.name, request.digest, wanted, last)
  if not found then
    return nil, err
  end
  if found.more then
    reply.next_page(ngx.var.uri, { artifactType = wanted, last = found.last })
  end
  reply.header("OCI-Filters-Applied", wanted and "artifactType" or nil)
  local list = {}
  for i, descriptor in ipairs(found.list) do
    list[i] = json.raw(descriptor)
  end
  local body = json.encode(json.object {
    { "schemaVersion", 2 }, { "mediaType", INDEX }, { "manifests", json.array(list) },
  })
  return reply.bytes(200, body, INDEX)
end

return M
