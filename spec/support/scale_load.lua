--- Load on a bucket that several gateways serve: processes that push without a pause, half of them
--- through each gateway, and write down what was acknowledged. One whose push fails does the same
--- push once more through the other gateway, and stays with that one.
--
-- A push has two blobs, now and then one in parts; it puts a manifest under a tag of its own, moves
-- the tag "latest" to it, and now and then takes an older tag away.

local children = require "spec.support.children"
local core = require "epoch.core"
local work = require "spec.support.work"

local M = {}

local WORKERS, NAMES = 4, 3
local PREFIX = "scale"

local SCRIPT = [[
local dir, bucket, prefix, names = %q, %q, %q, %d
local who, urls = tonumber(arg[1]), { arg[2], arg[3] }
local core = require "epoch.core"
local home_of = require "epoch.home"
local store = require "spec.support.store"
local task = assert(require "epoch.task".new())
local noise = require "spec.support.work".noise(7 * 1024 * 1024)

local homes = {}
for i, url in ipairs(urls) do
  homes[i] = assert(home_of.open(task, ("s3://%%s/%%s"):format(bucket, prefix), {
    endpoint = url, access_key = os.getenv("ACCESS_KEY"), secret_key = os.getenv("SECRET_KEY"), proxy = "",
    retries = 2, multipart_threshold = 5 * 1024 * 1024, part_size = 5 * 1024 * 1024,
  }))
end

local log = assert(io.open(("%%s/%%d.log"):format(dir, who), "w"))
local function note(...)
  log:write(table.concat({ ... }, "\t"), "\n")
  log:flush()
end

local at = who %% 2 + 1
local function try(what, f)
  local began = core.now()
  for again = 0, 1 do
    local ok, result = pcall(f, homes[at])
    if ok then
      note("done", what, result, ("%%.3f"):format(core.now() - began))
      return true
    end
    note("failed", at, what, type(result) == "table" and result.kind or "raised", (tostring(result):gsub("%%s+", " ")))
    at = 3 - at
  end
  note("gave up", what)
end

local n = 0
while not core.stat(dir .. "/stop") do
  n = n + 1
  local name, tag = ("vm%%d-%%d"):format(who, n %% names), ("v%%d"):format(n)
  local mark = name .. ":" .. tag .. "\n"
  local large = n %% 8 == 1 and noise or noise:sub(1, 300000)
  local function push(home)
    return select(2, store.put_artifact(home, name, tag, { mark, mark .. large }))
  end
  if try("push\t" .. name .. "\t" .. tag, push) then
    try("push\t" .. name .. "\tlatest", function(home)
      return assert(home:put_manifest(name, "latest", assert(home:get_manifest(name, tag)).bytes,
        "application/vnd.oci.image.manifest.v1+json"))
    end)
  end
  local old = n - 2 * names
  if n %% 5 == 0 and old > 0 then
    try(("rm\t%%s\tv%%d"):format(name, old), function(home)
      return tostring(assert(home:delete_manifest(name, "v" .. old)))
    end)
  end
end
log:close()
task:close()
]]

local Load = {}
Load.__index = Load

--- Starts it.
---@param loop userdata
---@param dir string for its files
---@param options { bucket: string, urls: string[], access_key: string, secret_key: string }
function M.start(loop, dir, options)
  local path = dir .. "/load.lua"
  work.write_file(path, SCRIPT:format(dir, options.bucket, PREFIX, NAMES))
  local self = setmetatable({ loop = loop, dir = dir, processes = {} }, Load)
  for who = 1, WORKERS do
    self.processes[who] = assert(loop:spawn {
      argv = { children.lua, path, tostring(who), options.urls[1], options.urls[2] },
      env = {
        LUA_PATH = package.path, LUA_CPATH = package.cpath,
        ACCESS_KEY = options.access_key, SECRET_KEY = options.secret_key,
      },
    })
  end
  return self
end

--- The home that it pushes to.
---@param bucket string
function M.home(bucket)
  return ("s3://%s/%s"):format(bucket, PREFIX)
end

-- Every line that the workers have written, as lists of words.
local function lines(self, who)
  local list = {}
  for line in (work.read_file(("%s/%d.log"):format(self.dir, who)) or ""):gmatch("([^\n]*)\n") do
    local words = {}
    for word in line:gmatch("[^\t]+") do
      words[#words + 1] = word
    end
    list[#list + 1] = words
  end
  return list
end

--- What has been acknowledged so far, and what has failed: `tags` has for each name the digest of
--- each tag, false for one that was taken away; `each` counts by worker.
---@return { tags: table, pushes: integer, removals: integer, slowest: number, each: integer[], failed: table[],
---  given_up: integer }
function Load:seen()
  local seen = { tags = {}, pushes = 0, removals = 0, slowest = 0, each = {}, failed = {}, given_up = 0 }
  for who = 1, WORKERS do
    seen.each[who] = 0
    for _, words in ipairs(lines(self, who)) do
      local what, verb, name, tag = words[1], words[2], words[3], words[4]
      if what == "done" then
        seen.tags[name] = seen.tags[name] or {}
        seen.tags[name][tag] = verb == "push" and words[5]
        seen.pushes = seen.pushes + (verb == "push" and 1 or 0)
        seen.removals = seen.removals + (verb == "rm" and 1 or 0)
        seen.each[who] = seen.each[who] + 1
        seen.slowest = math.max(seen.slowest, tonumber(words[6]))
      elseif what == "failed" then
        table.insert(seen.failed, { who = who, gateway = tonumber(verb), kind = words[6], message = words[7] })
      else
        seen.given_up = seen.given_up + 1
      end
    end
  end
  return seen
end

--- Waits until every worker has had so many more acknowledged; the seconds that took.
---@param more integer
---@param limit number
function Load:go_on(more, limit)
  local began, before = core.now(), self:seen().each
  local went = children.eventually(function()
    for who, n in ipairs(self:seen().each) do
      if n < before[who] + more then
        return false
      end
    end
    return true
  end, limit)
  if not went then
    error(("the load stands still: %s"):format(table.concat(self:seen().each, ", ")), 0)
  end
  return core.now() - began
end

--- Ends it when every worker has done what it is at.
function Load:stop(task)
  work.write_file(self.dir .. "/stop", "")
  for _, process in ipairs(self.processes) do
    local result = assert(task:await(process, "wait"))
    process:close()
    if result.code ~= 0 or result.stderr ~= "" then
      error(("a process ended with %s: %s"):format(tostring(result.code), result.stderr), 0)
    end
  end
  self.processes = {}
end

--- Ends it at once.
function Load:kill()
  for _, process in ipairs(self.processes) do
    process:kill("KILL")
    process:close()
  end
end

-- A manifest's blobs, pulled and verified: their bytes.
local function pull(task, home, name, m)
  local sum = 0
  for digest in m.bytes:gmatch("sha256:%x+") do
    local source, size = home:get_blob(name, digest)
    assert(source, size)
    assert(task:flow { source = source, size = size, digest = digest, what = name })
    sum = sum + size
  end
  return sum
end

--- Pulls everything that was acknowledged, tag by tag through one home after the other, and
--- looks at the lists of tags and at the catalog: how many tags and bytes there were.
---@param task epoch.task
---@param homes table[]
---@param seen table of Load:seen
---@return integer tags
---@return integer bytes
function M.verify(task, homes, seen)
  local tags, bytes = 0, 0
  for name, wanted in pairs(seen.tags) do
    local listed = {}
    for tag, digest in pairs(wanted) do
      local home = homes[tags % #homes + 1]
      local m, err = home:get_manifest(name, tag)
      if digest then
        assert(m, err)
        assert(m.digest == digest, ("%s:%s is %s, acknowledged was %s"):format(name, tag, m.digest, digest))
        bytes, listed[#listed + 1] = bytes + pull(task, home, name, m), tag
      else
        assert(not m and err.kind == "not_found", ("%s:%s was removed and is there"):format(name, tag))
      end
      tags = tags + 1
    end
    table.sort(listed)
    for _, home in ipairs(homes) do
      local catalog = assert(home:get_catalog()).repositories[name]
      local has = {}
      for tag in pairs(assert(catalog, name .. " is not in the catalog").tags) do
        has[#has + 1] = tag
      end
      table.sort(has)
      assert(table.concat(has, " ") == table.concat(listed, " "), ("the catalog has of %s: %s; acknowledged were %s")
        :format(name, table.concat(has, " "), table.concat(listed, " ")))
      assert(table.concat(assert(home:tags(name)), " ") == table.concat(listed, " "), name .. " has other tags")
    end
  end
  return tags, bytes
end

return M
