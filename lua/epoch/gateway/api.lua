--- /api/: what is in the registry, for programs that show it to people. The members are those of the
-- reference's server; what went wrong is {"error": "…"} (epoch.gateway.reply).
local access = require "epoch.gateway.access"
local reply = require "epoch.gateway.reply"
local threads = require "epoch.gateway.threads"

local M = {}

local JSON = "application/json"

-- An answer that a thread has written.
local function answer(fn, ...)
  local body, err = threads.call("store", "api", fn, ...)
  if not body then
    return nil, err
  end
  return reply.bytes(200, body, JSON)
end

-- Those of a list of { name = } that may be seen.
local function seen(request, list)
  local sight, out = access.sight(request), {}
  if not sight then
    return list
  end
  for _, one in ipairs(list) do
    local may, err = sight(one.name)
    if may == nil then
      return nil, err
    elseif may then
      out[#out + 1] = one
    end
  end
  return out
end

local function repositories(request)
  local list, err = threads.call("store", "api", "repositories")
  if not list then
    return nil, err
  end
  return seen(request, list)
end

--- Of what may be seen.
function M.api_stats(request)
  if not access.sight(request) then
    return answer("stats")
  end
  local list, err = repositories(request)
  if not list then
    return nil, err
  end
  local names = {}
  for _, one in ipairs(list) do
    names[one.name] = true
  end
  return answer("stats", names)
end

function M.api_repositories(request)
  local list, err = repositories(request)
  if not list then
    return nil, err
  end
  for i, one in ipairs(list) do
    list[i] = one.json
  end
  return reply.bytes(200, "[" .. table.concat(list, ",") .. "]", JSON)
end

function M.api_repository(request)
  return answer("repository", request.name)
end

function M.api_tags(request)
  return answer("tags", request.name)
end

function M.api_tag(request)
  return answer("tag", request.name, request.reference)
end

function M.api_delete(request)
  local ok, err = threads.call("store", "api", "delete", request.name, request.reference)
  if not ok then
    return nil, err
  end
  return reply.empty(204)
end

return M
