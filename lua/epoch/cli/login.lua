--- epoch login HOST [-u USER] [--password-stdin]
--
-- What is stored was shown to the registry first. The password comes from the terminal or from
-- stdin and goes to the registry and to docker's config or helper: into no argument, no message.
local ask = require "epoch.cli.ask"
local client = require "epoch.client"
local core = require "epoch.core"
local credentials = require "epoch.client.credentials"
local errors = require "epoch.errors"
local jobs = require "epoch.cli.job"
local json = require "epoch.json"
local output = require "epoch.cli.output"
local text = require "epoch.text"

local M = {}

local STDIN = 0
local MAX = 64 * 1024

local function typed(job, what, hidden)
  local line, err = ask.line(job.task, what .. ": ", hidden)
  if not line and err.kind == "not_found" then
    return errors.fail("usage", ("there is no terminal to ask for the %s on; give --username and "
      .. "--password-stdin"):format(what:lower()))
  end
  return line, err
end

local function user_name(job, args)
  local name, err = args.username, nil
  if not name and args.password_stdin then
    return errors.fail("usage", "--password-stdin needs --username")
  elseif not name then
    name, err = typed(job, "User name")
  end
  if name and (name == "" or name:find("[:%c]")) then
    return errors.fail("usage", "a user name is not empty and has no colon and no control characters")
  end
  return name, err
end

local function from_stdin(job)
  local source, message, code = core.fd_source(STDIN)
  if not source then
    return errors.fail(code, message)
  end
  local sink = core.collect(MAX)
  local moved, err = job.task:flow { source = source, sink = sink, what = "the password" }
  local bytes = moved and sink:bytes()
  sink:close()
  return bytes and (bytes:gsub("\r?\n$", "")), err
end

local function password(job, args)
  local secret, err
  if args.password_stdin then
    secret, err = from_stdin(job)
  else
    secret, err = typed(job, "Password", true)
  end
  if secret == "" then
    return errors.fail("usage", "the password is empty")
  end
  return secret, err
end

-- The registry as it is configured, but asked with these credentials and no others.
local function registry(job, host, secret)
  local given = job.settings:host(job.settings.host_of(host) or "")
  given.url, given.token, given.mirrors = host, nil, nil
  given.credentials = function()
    secret.asked = true
    return secret.username, secret.password
  end
  return job:keep(client.new(job.task, given))
end

-- Servers quote what they were sent.
local function without(words, secret)
  local quoted = text.printable(secret):gsub("%p", "%%%0")
  return (words:gsub(quoted, "***"))
end

local function check(job, home, secret)
  local ok, err = home:ping()
  if not ok then
    local said = without(tostring(err), secret.password)
    if err.kind == "unauthorized" then
      said = "it does not accept this user name and password: " .. said
    end
    return errors.fail(err.kind, said, { status = err.status })
  elseif not secret.asked then
    job:say(("epoch: %s did not ask for credentials: these were not checked"):format(home:describe()))
  end
  return true
end

local function tell(job, home, secret, place)
  local host = home.address.name
  if not place:find("^helper ") then
    job:say(("epoch: the password is kept unencrypted in %s; a credential helper named there "
      .. "(credsStore) would keep it better"):format(text.printable(place)))
  end
  job:say(("epoch: logged in to %s as %s"):format(host, text.printable(secret.username)))
  if job.args.json then
    return output.write_json(json.object {
      { "host", host }, { "username", secret.username }, { "stored", place },
    })
  end
  return true
end

local function login(job, args)
  local secret, ok, place = {}, nil, nil
  local home, err = registry(job, args.host, secret)
  if home then
    secret.username, err = user_name(job, args)
  end
  if secret.username then
    secret.password, err = password(job, args)
  end
  if secret.password then
    ok, err = check(job, home, secret)
  end
  if ok then
    place, err = credentials.new(job.task):store(home.address.url, {
      username = secret.username, password = secret.password,
    })
  end
  if not place then
    return nil, err
  end
  return tell(job, home, secret, place)
end

function M.run(_, args)
  return jobs.run("login", args.host, args, function(job)
    return login(job, args)
  end)
end

return M
