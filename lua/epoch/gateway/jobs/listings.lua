--- Lists of a registry, a page at a time. For epoch.gateway.thread.
local M = {}

-- A page has no more entries than this, whatever is asked for.
local MOST = 1000

-- The part of a sorted list that is asked for.
local function page(list, n, last)
  n = math.min(n or MOST, MOST)
  local found = { list = {}, more = false }
  for _, one in ipairs(list) do
    if not last or one > last then
      if #found.list == n then
        found.more = n > 0
        break
      end
      found.list[#found.list + 1] = one
      found.last = one
    end
  end
  return found
end

function M.tags(home, name, n, last)
  local tags, err = home:tags(name)
  return tags and page(tags, n, last), err
end

function M.repositories(home, n, last)
  local names, err = home:repositories()
  return names and page(names, n, last), err
end

function M.referrers(home, name, digest, artifact_type, last)
  return home:referrers(name, digest, { artifact_type = artifact_type, after = last })
end

return M
