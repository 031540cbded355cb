--- epoch ls [NAME]
local errors = require "epoch.errors"
local inspect = require "epoch.inspect"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local manifest = require "epoch.manifest"
local output = require "epoch.cli.output"
local tables = require "epoch.cli.table"

local M = {}

-- So many tags of a repository are shown to people who asked for all repositories.
local SHOWN = 8
local SHORT = #"sha256:" + 12

-- A repository as it was typed: a reference without tag and digest.
local function repository(job, typed)
  local ref, err = job:reference(typed)
  if ref and typed:lower() ~= (ref.host and ref.host .. "/" or "") .. ref.name then
    return errors.fail("usage", ("ls takes a NAME without tag; epoch inspect %s shows one artifact, "
      .. "--registry HOST the repositories of another registry"):format(typed))
  end
  return ref, err
end

local function write(args, rows, as_json, as_text)
  if not args.json then
    return output.write(as_text(rows))
  end
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = as_json(row)
  end
  return output.write_json(json.array(list))
end

local function tag_as_json(row)
  return json.object {
    { "tag", row.tag }, { "digest", row.digest or json.null }, { "kind", row.kind },
    { "size", row.size or json.null }, { "created", row.created or json.null },
  }
end

local function tags_as_text(rows)
  local lines = { { "TAG", "KIND", "SIZE", "CREATED", "DIGEST" } }
  for i, row in ipairs(rows) do
    lines[i + 1] = {
      row.tag, row.err and "broken" or row.kind, row.size and manifest.human_size(row.size), row.created,
      row.digest and row.digest:sub(1, SHORT),
    }
  end
  return #rows > 0 and tables.format(5, lines) or ""
end

local function repository_as_json(row)
  return json.object { { "name", row.name }, { "tags", json.array(row.tags) } }
end

local function repositories_as_text(rows)
  local lines = { { "NAME", "TAGS" } }
  for i, row in ipairs(rows) do
    local some = table.concat(row.tags, ", ", 1, math.min(#row.tags, SHOWN))
    if #row.tags > SHOWN then
      some = ("%s and %d more"):format(some, #row.tags - SHOWN)
    end
    lines[i + 1] = { row.name, some }
  end
  return #rows > 0 and tables.format(2, lines) or ""
end

-- What could not be found out, a line each.
local function say_broken(job, rows, name_of)
  for _, row in ipairs(rows) do
    if row.err then
      job:say(("epoch: ls: %s: %s"):format(name_of(row), tostring(row.err)))
    end
  end
end

local function list_tags(job, home, ref)
  local rows, err = inspect.tags(job.task, home, ref.name, { concurrency = job.settings.values.concurrency })
  if not rows then
    return nil, err
  end
  say_broken(job, rows, function(row) return ref.name .. ":" .. row.tag end)
  return write(job.args, rows, tag_as_json, tags_as_text)
end

local function list_repositories(job, home)
  local rows, err = inspect.repositories(job.task, home, { concurrency = job.settings.values.concurrency })
  if not rows then
    return nil, err
  end
  say_broken(job, rows, function(row) return row.name end)
  return write(job.args, rows, repository_as_json, repositories_as_text)
end

function M.run(_, args)
  return jobs.run("ls", args.name, args, function(job)
    local ref, home, err
    if args.name then
      ref, err = repository(job, args.name)
    end
    if not err then
      home, err = job:open(ref)
    end
    if not home then
      return nil, err
    end
    return (ref and list_tags or list_repositories)(job, home, ref)
  end)
end

return M
