--- epoch logout HOST
local address = require "epoch.client.address"
local credentials = require "epoch.client.credentials"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"

local M = {}

-- Where nothing is kept there is nothing to forget.
local function logout(job, args)
  local given = job.settings:host(job.settings.host_of(args.host) or "")
  local at, err = address.parse(args.host, given.plain_http)
  if not at then
    return errors.fail("usage", err.message)
  end
  local ok
  ok, err = credentials.new(job.task):erase(at.url)
  if not ok then
    return nil, err
  end
  job:say(("epoch: no credentials are kept for %s"):format(at.name))
  if args.json then
    return output.write_json(json.object { { "host", at.name } })
  end
  return true
end

function M.run(_, args)
  return jobs.run("logout", args.host, args, function(job)
    return logout(job, args)
  end)
end

return M
