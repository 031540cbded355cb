--- A push and a gc side by side, again and again, their steps in another order each time: what has
--- the tag in the end must be whole.

local core = require "epoch.core"
local gc = require "epoch.gc"
local json = require "epoch.json"
local registry = require "epoch.registry"

local M = {}

-- Lets others have up to n turns, the same for the same seed.
local function dice(task, seed, pause)
  return function(n)
    seed = (seed * 69069 + 12345) % 4294967296
    for _ = 1, math.floor(seed / 65536) % n do
      assert(task:sleep(pause))
    end
  end
end

-- A store that lets others have a turn, more or less often, before whatever it does.
local function jumpy(store, wait)
  return setmetatable({}, { __index = function(_, name)
    return store[name] and function(_, ...)
      wait(6)
      return store[name](store, ...)
    end
  end })
end

--- A manifest of these layers.
function M.manifest_of(...)
  local layers = {}
  for i, bytes in ipairs { ... } do
    layers[i] = ('{"digest":"%s","size":%d}'):format(core.digest(bytes), #bytes)
  end
  return '{"schemaVersion":2,"layers":[' .. table.concat(layers, ",") .. "]}"
end

local function put(home, bytes)
  return assert(home:put_blob("a", core.digest(bytes), #bytes, bytes))
end

-- Is every blob there of what has the tag?
local function check(home, tag)
  for _, layer in ipairs(json.decode(assert(home:get_manifest("a", tag)).bytes).layers) do
    assert(home:blob_exists("a", layer.digest), tag .. " lacks a blob")
  end
end

--- Runs it so many times: how many pushes came through, and how many were refused.
---@param task epoch.task
---@param home table
---@param times integer
---@param pause number seconds that somebody waits who lets others have a turn
---@param generation integer? of the manifests, 2
function M.run(task, home, times, pause, generation)
  local whole, refused = 0, 0
  local function manifest(...)
    return (M.manifest_of(...):gsub('"schemaVersion":2', ('"schemaVersion":%d'):format(generation or 2)))
  end
  for seed = 1, times do
    local old, new, tag = "old " .. seed, "new " .. seed, "v" .. seed
    put(home, old)
    local wait = dice(task, seed, pause)
    local pusher = registry.new(task, jumpy(home.store, wait))
    local cleaner = registry.new(task, jumpy(home.store, dice(task, seed * 7919, pause)))
    local pushed, err
    assert(task:all {
      function()
        wait(60)
        put(pusher, old)
        put(pusher, new)
        pushed, err = pusher:put_manifest("a", tag, manifest(old, new))
        return true
      end,
      function()
        return gc(task, cleaner, { delete = true, grace = 0 })
      end,
    })
    if pushed then
      whole = whole + 1
      check(home, tag)
      assert(home:delete_manifest("a", pushed))
    else
      refused = refused + 1
      assert(err.kind == "blob_unknown", tostring(err))
      assert(not home:get_manifest("a", tag), "a tag without blobs")
    end
  end
  return whole, refused
end

return M
