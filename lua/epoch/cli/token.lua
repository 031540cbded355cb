--- epoch token create NAME --scope ACTIONS:PATTERN… [--expires TIME], token ls, token rm NAME
--
-- The tokens of a store that a gateway serves; gateways notice a change within seconds.
local catalog = require "epoch.catalog"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local nearest = require "epoch.nearest"
local output = require "epoch.cli.output"
local tables = require "epoch.cli.table"
local text = require "epoch.text"
local tokens = require "epoch.gateway.access.tokens"

local M = {}

local function usage(message)
  return errors.fail("usage", message)
end

-- What was typed wrong is no news about what arrived.
local function as_usage(err)
  return err.kind == "invalid" and errors.new("usage", err.message, { cause = err }) or err
end

local function check_name(typed)
  if not typed then
    return usage("it needs the NAME of the token")
  end
  local ok, err = tokens.check_name(typed)
  return ok, err and as_usage(err)
end

local function time(seconds)
  return seconds and catalog.time(seconds)
end

local function as_json(token, shown)
  return json.object {
    { "name", token.name }, { "token", shown }, { "scopes", json.array(tokens.scopes(token)) },
    { "created", time(token.created) }, { "expires", time(token.expires) or json.null },
  }
end

local ACTIONS = {}

function ACTIONS.create(job, home, args)
  local ok, err = check_name(args.name)
  if ok and #args.scopes == 0 then
    ok, err = usage("it needs to know what may be done with it: --scope pull,push:vms/*, or "
      .. "--scope pull,push,delete:* for everything")
  end
  local shown, token
  if ok then
    shown, token = tokens.create(home, { name = args.name, scopes = args.scopes, lifetime = args.expires })
    err = not shown and as_usage(token)
  end
  if not shown then
    return nil, err
  end
  job:say(("epoch: token %s for %s in %s; it is shown this once"):format(token.name,
    table.concat(tokens.scopes(token), " "), text.printable(home:describe())))
  if args.json then
    return output.write_json(as_json(token, shown))
  end
  return output.write(shown .. "\n")
end

function ACTIONS.ls(_, home, args)
  if args.name or #args.scopes > 0 or args.expires then
    return usage("ls takes no name, no scope and no time")
  end
  local list, err = tokens.list(home)
  if not list then
    return nil, err
  end
  local rows, objects, now = { { "NAME", "SCOPES", "CREATED", "EXPIRES" } }, {}, os.time()
  for i, token in ipairs(list) do
    local expires = time(token.expires)
    if expires and token.expires <= now then
      expires = expires .. " (over)"
    end
    rows[i + 1] = { token.name, table.concat(tokens.scopes(token), " "), time(token.created), expires }
    objects[i] = as_json(token)
  end
  if args.json then
    return output.write_json(json.array(objects))
  end
  return output.write(#list > 0 and tables.format(4, rows) or "")
end

function ACTIONS.rm(_, home, args)
  local ok, err = check_name(args.name)
  if ok and (#args.scopes > 0 or args.expires) then
    ok, err = usage("rm takes no scope and no time")
  end
  if ok then
    ok, err = tokens.remove(home, args.name)
  end
  if not ok then
    return nil, err
  elseif args.json then
    return output.write_json(json.object { { "name", args.name } })
  end
  return true
end

-- The store that is named, else the one that is configured to be served, as epoch serve has it.
local function open(job, args)
  local gateway = job.settings.values.gateway
  local name = args.store or args.registry or gateway and gateway.store
  if name then
    return job:open_home(name)
  end
  return job:open()
end

function M.run(_, args)
  return jobs.run("token " .. text.printable(args.action, 40), args.name, args, function(job)
    local act = ACTIONS[args.action]
    if not act then
      return usage(("there is no token %s%s; it is create, ls or rm"):format(text.quote(args.action),
        nearest.hint(args.action, ACTIONS)))
    end
    local home, err = open(job, args)
    if not home then
      return nil, err
    end
    return act(job, home, args)
  end)
end

return M
