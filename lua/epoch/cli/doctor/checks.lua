--- What can be looked at where there is a core. A check answers what it found, or nil and an error.
local cocoon = require "epoch.cocoon"
local core = require "epoch.core"
local errors = require "epoch.errors"
local locate = require "epoch.locate"
local nginx = require "epoch.cli.serve.nginx"
local paths = require "epoch.cli.serve.paths"
local settings = require "epoch.cli.settings"
local tasks = require "epoch.task"
local text = require "epoch.text"

local M = {}

-- What stands in the settings, and what they were read from.
local function check_settings(context)
  if not context.settings then
    return nil, context.problem
  end
  local files = context.settings.files
  return #files == 0 and "there is no configuration, which is fine" or table.concat(files, ", ")
end

-- A file that has no name, as downloads and uploads have it.
local function check_spool(context)
  local dir = context.settings.values.spool_dir
  local spool, message, code = core.spool { dir = dir, memory = 0 }
  local sink, ok
  if spool then
    sink = spool:sink()
    ok, message, code = sink:write("x")
    sink:close()
    spool:close()
  end
  if not ok then
    return errors.fail(code, ("%s cannot be written to: %s; set spool_dir"):format(text.quote(dir), message))
  end
  return dir
end

-- A registry answers at its root; a store says what it has, if only that there is nothing.
local function check_home(context)
  local name, err = locate.home_of(nil, context.settings)
  local home
  if name then
    home, err = locate.open_home(context.task, name, context.settings)
  end
  if not home then
    return nil, err
  end
  local ok
  if home.ping then
    ok, err = home:ping()
  else
    ok, err = home:repositories()
  end
  home:close()
  return ok and text.printable(name), err
end

local function check_cocoon(context)
  return cocoon.resolve_cocoon_binary(context.settings.values.cocoon_binary)
end

local function check_nginx(context)
  local found, err = nginx.find(context.task)
  return found and ("%s, %s"):format(found.path, found.version), err
end

-- The core that nginx can load.
local function check_luajit()
  local found, err = paths.find()
  return found and (found.c:match("^[^;]+"):gsub("%?", "epoch/core")), err
end

-- In this order. Those without `only` are needed by everything.
local CHECKS = {
  { what = "configuration", look = check_settings },
  { what = "spool", look = check_spool },
  { what = "home", look = check_home },
  { what = "cocoon", look = check_cocoon, only = "push, pull" },
  { what = "nginx", look = check_nginx, only = "serve" },
  { what = "core for nginx", look = check_luajit, only = "serve" },
}

--- Tells what each check has found: what, state ("ok", "missing", "absent" for what only some
--- commands need), needed (for what), detail.
---@param args table
---@param tell fun(one: { what: string, state: string, needed: string, detail: string })
function M.each(args, tell)
  local context = {}
  local loaded, err = settings.load(args)
  context.settings, context.problem = loaded, err
  local task = assert(tasks.new())
  context.task = task
  for i, check in ipairs(CHECKS) do
    if i == 1 or loaded then
      local detail, why = check.look(context)
      tell {
        what = check.what, state = detail and "ok" or check.only and "absent" or "missing",
        needed = check.only or "everything", detail = detail or tostring(why),
      }
    end
  end
  task:close()
end

return M
