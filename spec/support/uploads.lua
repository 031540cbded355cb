--- What specs of uploads do over and over: requests to a gateway, and looks at its store.

local core = require "epoch.core"
local http = require "spec.support.http"
local lfs = require "lfs"
local work = require "spec.support.work"

local M = {}

local MAX = 64 * 1024 * 1024 -- of an answer

--- A request on a connection of its own: status, headers (names in lower case), body.
---@param g table of spec.support.gateway
---@param method string
---@param path string
---@param more { body: string?, type: string?, range: string? }?
function M.ask(g, method, path, more)
  more = more or {}
  local headers = { ["Content-Type"] = more.type or "application/octet-stream", ["Content-Range"] = more.range }
  local response
  work.with_loop({ threads = 0 }, function(loop)
    response = assert(http.fetch(loop, {
      method = method, url = g.url .. path, headers = headers, body = more.body, ca_file = g.ca, proxy = "",
    }, MAX))
  end)
  local found = {}
  for _, pair in ipairs(response.headers) do
    found[pair[1]:lower()] = pair[2]
  end
  return { status = response.status, headers = found, body = response.body }
end

--- The code of an OCI error, or nil.
function M.code(answer)
  return answer.body:match('^{"errors":%[{"code":"([A-Z_]+)"')
end

--- Starts a session: its path.
function M.start(g, name, query)
  local answer = M.ask(g, "POST", "/v2/" .. (name or "a/b") .. "/blobs/uploads/" .. (query or ""), { body = "" })
  assert(answer.status == 202, answer.status .. " " .. answer.body)
  return answer.headers.location, answer
end

--- How many bytes a session says it has; 0 also for one.
function M.offset(g, path)
  local answer = M.ask(g, "GET", path)
  assert(answer.status == 204, answer.status .. " " .. answer.body)
  local last = tonumber(answer.headers.range:match("^0%-(%d+)$"))
  return last == 0 and 0 or last + 1
end

--- Makes a session a blob: the answer.
function M.finish(g, path, digest, more)
  more = more or {}
  more.body = more.body or ""
  return M.ask(g, "PUT", path .. "?digest=" .. digest, more)
end

local function names(dir)
  local list = {}
  if lfs.attributes(dir, "mode") == "directory" then
    for name in lfs.dir(dir) do
      if name ~= "." and name ~= ".." then
        list[#list + 1] = name
      end
    end
  end
  table.sort(list)
  return list
end

M.names = names

--- Every blob of a store hashes to its name; how many there are.
function M.check_blobs(root)
  local count = 0
  for _, algorithm in ipairs(names(root .. "/blobs")) do
    for _, hex in ipairs(names(root .. "/blobs/" .. algorithm)) do
      local hasher = core.hasher(algorithm)
      assert(hasher:file(("%s/blobs/%s/%s"):format(root, algorithm, hex)))
      local digest = hasher:digest()
      hasher:close()
      assert(digest == algorithm .. ":" .. hex, ("blob %s of %s is %s"):format(hex, algorithm, digest))
      count = count + 1
    end
  end
  return count
end

--- The bytes of a blob as the gateway gives them.
function M.get(g, digest, name)
  local answer = M.ask(g, "GET", "/v2/" .. (name or "a/b") .. "/blobs/" .. digest)
  assert(answer.status == 200, answer.status)
  return answer.body
end

--- Sends a chunk slowly, beside what else happens: a byte, then another one after each pause, as long
--- as a file is there. Call `finish` for the status and the seconds of the worker.
function M.trickle(g, dir, path, pause)
  local flag = dir .. "/trickling"
  work.write_file(flag, "")
  local pipe = assert(io.popen(("(while [ -e '%s' ]; do printf x; sleep %g; done) | curl -s -o '%s/trickled' -w "
    .. "'%%{http_code}' -X PATCH -H 'Expect:' -T - '%s'"):format(flag, pause, dir, g.url .. path)))
  return {
    finish = function()
      os.remove(flag)
      local status = pipe:read("*a")
      pipe:close()
      return tonumber(status)
    end,
  }
end

return M
