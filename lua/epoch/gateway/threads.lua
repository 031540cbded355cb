--- Work that takes time, in a worker thread of nginx; the request waits, the worker does not.
--
--     local digest, err = threads.call("store", "manifests", "put", name, tag, bytes)
--
-- runs epoch.gateway.jobs.manifests.put(home, name, tag, bytes) on the store that is served. Values
-- go over as nil, booleans, numbers, strings, and tables of these. There are two pools, so that what
-- is quick does not wait for what is not: "store" for work with the store, "bytes" for hashing and
-- moving. Only in the phases that answer a request.
local errors = require "epoch.errors"
local ngx = require "ngx"
local store = require "epoch.gateway.store"

local M = {}

local POOL = { store = "epoch_store", bytes = "epoch_bytes" }

local function answer(started, ok, first, ...)
  if not started then
    return errors.fail("internal", "a thread of nginx: " .. tostring(ok))
  elseif not ok then
    return errors.fail(first.kind, first.message, { op = first.op, status = first.status })
  end
  return first, ...
end

--- What a job answers; nil and the error when it fails.
---@param pool "store"|"bytes"
---@param job string
---@param fn string
---@param ... any
function M.call(pool, job, fn, ...)
  return answer(ngx.run_worker_thread(POOL[pool], "epoch.gateway.thread", "run", store.spec(), job, fn, ...))
end

return M
