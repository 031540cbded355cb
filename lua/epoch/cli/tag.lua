--- epoch tag REF NEWTAG
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"
local text = require "epoch.text"

local M = {}

-- The new tag; also as NAME:NEWTAG, with the NAME it has already.
local function new_tag(job, ref, typed)
  local own = ref.name .. ":"
  if typed:sub(1, #own) == own then
    typed = typed:sub(#own + 1)
  elseif typed:find("[:/]") then
    return errors.fail("usage", ("cross-repository tagging not supported: %s is no tag of %s; copy does that")
      :format(text.quote(typed), ref.name))
  end
  return job:tag(typed)
end

-- The manifest under another name, byte for byte.
local function tag(job, args)
  local ref, err = job:reference(args.ref)
  local new, home, found, digest
  if ref then
    new, err = new_tag(job, ref, args.new_tag)
  end
  if new then
    home, err = job:open(ref)
  end
  if home then
    found, err = home:get_manifest(ref.name, ref.digest or ref.tag)
  end
  if found then
    digest, err = home:put_manifest(ref.name, new, found.bytes, found.media_type)
  end
  return digest and { name = ref.name, tag = new, digest = digest }, err
end

function M.run(_, args)
  return jobs.run("tag", args.ref, args, function(job)
    local tagged, err = tag(job, args)
    if tagged and args.json then
      return output.write_json(json.object {
        { "name", tagged.name }, { "tag", tagged.tag }, { "digest", tagged.digest },
      })
    end
    return tagged, err
  end)
end

return M
