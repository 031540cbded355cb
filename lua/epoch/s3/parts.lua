--- Objects that are sent while their bytes still come: an upload in parts as plain values, which
-- another thread can go on with, and what the store knows of all such uploads.
local calendar = require "epoch.calendar"
local content = require "epoch.s3.content"
local errors = require "epoch.errors"
local multipart = require "epoch.s3.multipart"
local puts = require "epoch.s3.put"
local xml = require "epoch.s3.xml"

local M = {}

local STREAM = "application/octet-stream"
local DOUBLED = 1000 -- parts, after each so many of which parts are twice as long
local PAGES = 1000

---@class epoch.s3.Parts
---@field key string
---@field id string the store's name for it
---@field size integer bytes of the parts so far
---@field etags string[] of these parts

local function upload_of(store, parts)
  return {
    task = store.task, session = store.session, key = store.base .. parts.key, what = parts.key, id = parts.id,
    size = parts.size, headers = { ["content-type"] = STREAM },
  }
end

local function explained(store, parts, err)
  return errors.wrap(err, ("write %s to %s"):format(parts.key, store:describe()))
end

--- Begins. Nothing has the key until M.finish.
---@param store table
---@param key string
---@return epoch.s3.Parts?
---@return epoch.Error?
function M.begin(store, key)
  local parts = { key = key, size = 0, etags = {} }
  local err
  parts.id, err = multipart.begin(upload_of(store, parts))
  if not parts.id then
    return nil, explained(store, parts, err)
  end
  return parts
end

--- Bytes of the next part.
---@param store table
---@param parts epoch.s3.Parts
---@return integer
function M.next_size(store, parts)
  return store.options.part_size * 2 ^ math.floor(#parts.etags / DOUBLED)
end

-- Where each part of so many bytes begins, and how long it is: all as long as the next one shall
-- be, the last with what is left.
local function cut(store, parts, size)
  local length = M.next_size(store, parts)
  local list, count = {}, math.max(1, math.floor(size / length))
  for i = 1, count do
    list[i] = { offset = (i - 1) * length, length = i < count and length or size - (count - 1) * length }
  end
  return list
end

local function send(store, parts, body, size)
  local upload = upload_of(store, parts)
  upload.content, upload.sent = body, { all = 0 }
  upload.payload = function(offset, length)
    return puts.payload({ store = store, body = body }, offset, length)
  end
  local functions, first = {}, #parts.etags
  for i, one in ipairs(cut(store, parts, size)) do
    functions[i] = function()
      return multipart.put_part(upload, first + i, one.offset, one.length)
    end
  end
  return store.task:all(functions, store.options.parallel)
end

--- Adds bytes: `parts` with them. At least 5 MiB, unless they are the last.
---@param store table
---@param parts epoch.s3.Parts stays as it is
---@param size integer
---@param body any as of epoch.body
---@return epoch.s3.Parts?
---@return epoch.Error?
function M.add(store, parts, size, body)
  local bytes, err = content.open(store.task, body, { size = size, what = parts.key, dir = store.options.spool_dir })
  local etags
  if bytes then
    etags, err = send(store, parts, bytes, size)
    bytes:close()
  end
  if not etags then
    return nil, explained(store, parts, err)
  end
  local more = { key = parts.key, id = parts.id, size = parts.size + size, etags = {} }
  for _, list in ipairs { parts.etags, etags } do
    for _, etag in ipairs(list) do
      more.etags[#more.etags + 1] = etag
    end
  end
  return more
end

--- Makes the object of its parts: its ETag. What fails is taken back.
---@param store table
---@param parts epoch.s3.Parts
---@return string?
---@return epoch.Error?
function M.finish(store, parts)
  local etag, err = multipart.finish(upload_of(store, parts), parts.etags)
  if not etag then
    return nil, explained(store, parts, err)
  end
  return etag
end

--- Gives up an upload, or lets go of what somebody else has left of one.
---@param store table
---@param parts { key: string, id: string }
---@return true?
---@return epoch.Error?
function M.abort(store, parts)
  local ok, err = multipart.abort(upload_of(store, parts))
  if not ok then
    return nil, errors.wrap(err, ("give up %s in %s"):format(parts.key, store:describe()))
  end
  return true
end

-- All pages of a listing: `add(element)` for each element of the name, `go_on(list)` says with which
-- markers the next page is asked for.
local function pages(store, call, root, name, add, go_on)
  local query = call.query
  for _ = 1, PAGES do
    local answer, err = store.session:ask { method = "GET", key = call.key, query = query, xml = root }
    if not answer then
      return nil, err
    end
    for _, element in ipairs(answer.xml) do
      if element.name == name then
        add(element)
      end
    end
    if xml.text(answer.xml, "IsTruncated") ~= "true" then
      return true
    end
    query = go_on(answer.xml)
  end
  return errors.fail("invalid", ("the listing of uploads in %s goes on and on"):format(store:describe()))
end

local function marked(query, markers)
  local all = {}
  for _, list in ipairs { query, markers } do
    for _, pair in ipairs(list) do
      all[#all + 1] = pair
    end
  end
  return all
end

--- The uploads under way for keys that begin with a prefix: { key, id, modified } each.
---@param store table
---@param prefix string
---@return { key: string, id: string, modified: integer }[]?
---@return epoch.Error?
function M.uploads(store, prefix)
  local list, base = {}, store.base .. prefix
  local query = { { "uploads" }, { "prefix", base } }
  local ok, err = pages(store, { query = query }, "ListMultipartUploadsResult", "Upload", function(element)
    local key, id = xml.text(element, "Key"), xml.text(element, "UploadId")
    local modified = calendar.rfc3339(xml.text(element, "Initiated"))
    if key and id and modified and key:sub(1, #base) == base then
      list[#list + 1] = { key = key:sub(#store.base + 1), id = id, modified = modified }
    end
  end, function(page)
    return marked(query, {
      { "key-marker", xml.text(page, "NextKeyMarker") }, { "upload-id-marker", xml.text(page, "NextUploadIdMarker") },
    })
  end)
  return ok and list, err
end

--- The parts of an upload: { number, size, etag, modified } each; nil and "not_found" where there is
--- no such upload any more.
---@param store table
---@param parts { key: string, id: string }
---@return { number: integer, size: integer, etag: string, modified: integer }[]?
---@return epoch.Error?
function M.list(store, parts)
  local list, query = {}, { { "uploadId", parts.id } }
  local ok, err = pages(store, { key = store.base .. parts.key, query = query }, "ListPartsResult", "Part",
    function(element)
      list[#list + 1] = {
        number = tonumber(xml.text(element, "PartNumber")), size = tonumber(xml.text(element, "Size")),
        etag = xml.text(element, "ETag"), modified = calendar.rfc3339(xml.text(element, "LastModified")),
      }
    end, function(page)
      return marked(query, { { "part-number-marker", xml.text(page, "NextPartNumberMarker") } })
    end)
  return ok and list, err
end

return M
