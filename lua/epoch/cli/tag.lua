--- epoch tag REF NEWTAG
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"

local M = {}

-- The manifest under another name, byte for byte.
local function tag(job, args)
  local ref, err = job:reference(args.ref)
  local new, home, found, digest
  if ref then
    new, err = job:tag(args.new_tag)
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
