--- Lists: tags, repositories, and what refers to a manifest; a page at a time, in lexical order.
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
  return reply.json(200, json.object { { "name", request.name }, { "tags", json.array(found.list) } })
end

function M.catalog()
  local page, err, code = requests.page()
  if not page then
    return nil, err, code
  end
  local found
  found, err = threads.call("store", "listings", "repositories", page.n, page.last)
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
