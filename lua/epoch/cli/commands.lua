--- The commands: their names, summaries and words, in the order in which help shows them. What
-- a command does is in the module of its name, loaded when it is run:
--   run(context, args)   does it; answers nil, err when it failed
-- Here a command is a table:
--   name, summary        what it is called; what it does, in half a line
--   needs_core           false when it works before `make` too
--   script               true when the words after its first are a script's and not ours
--   define(command)      adds its arguments and options to argparse's command

local function nothing() end

local function key_and_value(word)
  if not word:find("^[^=]+=") then
    return nil, ('--annotation "%s": it must look like KEY=VALUE'):format(word)
  end
  return word
end

local SECONDS = { [""] = 1, s = 1, m = 60, h = 3600, d = 24 * 3600 }
local CENTURY = 100 * 365 * SECONDS.d

local function a_time(option)
  return function(word)
    local number, unit = word:match("^(%d+)([smhd]?)$")
    local seconds = number and tonumber(number) * SECONDS[unit]
    if not seconds or seconds > CENTURY then
      return nil, ('%s "%s": it must be a time like 90s, 30m, 24h or 7d'):format(option, word)
    end
    return seconds
  end
end

return {
  {
    name = "push",
    summary = "Push a snapshot of cocoon's to a registry.",
    define = function(command)
      command:argument("SNAPSHOT", "The snapshot; with :TAG what it is called there."):target("snapshot")
      command:argument("REF", "Where to; by default the snapshot's own name and tag."):target("ref"):args("?")
      command:option("-t --tag", "The tag there."):argname("TAG")
      command:option("--base-image", "What the snapshot was made from."):argname("REF")
      command:option("--source", "Where that is kept, an address."):argname("URL")
      command:option("--revision", "Which revision of it."):argname("R")
      command:option("--annotation", "One more annotation; may be given several times."):argname("K=V")
        :count("*"):target("annotations"):convert(key_and_value)
    end,
  },
  {
    name = "pull",
    summary = "Pull a snapshot or a cloud image into cocoon.",
    define = function(command)
      command:argument("REF", "What to pull."):target("ref")
      command:option("--name", "What it is called here; by default as there."):argname("LOCAL"):target("local_name")
      command:option("--description", "What cocoon shall say of the snapshot."):argname("TEXT")
    end,
  },
  {
    name = "get",
    summary = "Write the disk of a cloud image to stdout or to a file.",
    define = function(command)
      command:argument("REF", "What to get."):target("ref")
      command:option("-o --output", "A file instead of stdout; it appears when it is whole."):argname("FILE")
      command:flag("--tar", "The archive of a snapshot that cocoon imports.")
    end,
  },
  {
    name = "ls",
    summary = "List the repositories, or the tags of one.",
    define = function(command)
      command:argument("NAME", "The repository whose tags to list."):target("name"):args("?")
    end,
  },
  {
    name = "inspect",
    summary = "Show what an artifact is.",
    define = function(command)
      command:argument("REF", "What to show."):target("ref")
      command:flag("--raw", "The bytes of its manifest as they are stored.")
    end,
  },
  {
    name = "tag",
    summary = "Give an artifact one more tag.",
    define = function(command)
      command:argument("REF", "What to tag."):target("ref")
      command:argument("NEWTAG", "The tag; it may have been another's."):target("new_tag")
    end,
  },
  {
    name = "rm",
    summary = "Remove tags, or with a digest a manifest and all its tags.",
    define = function(command)
      command:argument("REF", "What to remove; what is not there is fine."):target("refs"):args("+")
    end,
  },
  {
    name = "copy",
    summary = "Copy from one home to another; nothing is sent that is there.",
    define = function(command)
      command:argument("REF", "What to copy."):target("ref")
      command:argument("REF2", "What it is called there; by default as here."):target("to_ref"):args("?")
      command:option("--from", "Where it is, when REF does not say."):argname("HOME")
      command:option("--to", "Where it goes, when REF2 does not say."):argname("HOME")
      command:flag("--all-tags", "All tags of a repository.")
    end,
  },
  {
    name = "migrate",
    summary = "Bring what a store has of generation 1 to a home, as generation 2.",
    define = function(command)
      command:argument("NAME", "The repositories; by default all of them."):target("names"):args("*")
      command:option("--from", "The store that has them."):argname("HOME")
      command:option("--to", "Where they go; it may be the same."):argname("HOME")
      command:flag("--dry-run", "Say what would be done, and write nothing.")
    end,
  },
  {
    name = "gc",
    summary = "List the blobs of a store that no manifest needs, or remove them.",
    define = function(command)
      command:flag("--delete", "Remove them; pushes may go on meanwhile.")
      command:option("--grace", "Leave alone what is younger: 90s, 30m, 24h, 7d; 24h by default.")
        :argname("TIME"):convert(a_time "--grace")
    end,
  },
  {
    name = "fsck",
    summary = "Hash everything in a store again, and say which tags are broken.",
    define = nothing,
  },
  {
    name = "serve",
    summary = "Serve a store as a registry, until SIGTERM or SIGINT.",
    define = function(command)
      command:option("--addr", "Where to listen; 127.0.0.1:8080 by default. Port 0: one that is free.")
        :argname("HOST:PORT")
      command:option("--store", "What to serve: file:///DIR or s3://BUCKET[/PREFIX]; by default the local store.")
        :argname("HOME")
      command:option("--workers", "How many processes answer; 2 by default."):argname("N")
      command:option("--tls-cert", "The certificate for https, with its chain."):argname("FILE")
      command:option("--tls-key", "Its key."):argname("FILE")
      command:flag("--anonymous-push", "Whoever reaches it may push and delete.")
    end,
  },
  {
    name = "login",
    summary = "Keep credentials for a registry, where docker keeps them.",
    define = function(command)
      command:argument("HOST", "The registry."):target("host")
      command:option("-u --username", "The user name; asked for when it is not given."):argname("USER")
      command:flag("--password-stdin", "The password is what stdin has, instead of asking for it.")
    end,
  },
  {
    name = "logout",
    summary = "Forget the credentials that are kept for a registry.",
    define = function(command)
      command:argument("HOST", "The registry."):target("host")
    end,
  },
  {
    name = "token",
    summary = "Make, list and remove the tokens that a gateway accepts.",
    define = function(command)
      command:argument("ACTION", "create, ls or rm."):target("action")
      command:argument("NAME", "What the token is called."):target("name"):args("?")
      command:option("--store", "The store; by default the one of gateway.store, as serve has it."):argname("HOME")
      command:option("--scope", "What may be done where: pull,push,delete:PATTERN; may be given several times.")
        :argname("SCOPE"):count("*"):target("scopes")
      command:option("--expires", "How long it is good for: 90s, 30m, 24h, 7d; for ever by default.")
        :argname("TIME"):convert(a_time "--expires")
    end,
  },
  {
    name = "run",
    summary = "Run a Lua script with this module at hand.",
    script = true,
    define = function(command)
      command:argument("SCRIPT", 'A file of Lua; require "epoch" works in it.'):target("script")
      command:argument("ARG", "What the script finds in arg."):target("words"):args("*")
    end,
  },
  { name = "config", summary = "Show the settings in force and where each came from.", define = nothing },
  {
    name = "doctor",
    summary = "Say what this machine has of what is needed, and what to do about the rest.",
    needs_core = false,
    define = nothing,
  },
  {
    name = "version",
    summary = "Show the versions of all that is at work.",
    needs_core = false,
    define = nothing,
  },
  {
    name = "completion",
    summary = "Write the script that completes these words in a shell.",
    needs_core = false,
    define = function(command)
      command:argument("SHELL", "bash, zsh or fish."):target("shell")
    end,
  },
  {
    name = "help",
    summary = "Show help, for a command or for all.",
    needs_core = false,
    define = function(command)
      command:argument("COMMAND", "The command to explain."):target("topic"):args("?")
    end,
  },
}
