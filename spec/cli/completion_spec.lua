-- The scripts of epoch completion, in the shells that they are for.
local commands = require "epoch.cli.commands"
local core = require "epoch.core"
local dialogue = require "spec.support.dialogue"
local program = require "spec.support.program"
local work = require "spec.support.work"

local function script(shell)
  local result = program.run({ "completion", shell }, {})
  assert.same({ 0, "" }, { result.code, result.err })
  return result.out
end

local function names()
  local list = {}
  for i, command in ipairs(commands) do
    list[i] = command.name
  end
  table.sort(list)
  return table.concat(list, " ")
end

-- What is offered for words of which the last one is being typed, in every shell.
local CASES = {
  { { "" }, names() },
  { { "p" }, "pull push" },
  { { "--json", "lo" }, "login logout" },
  { { "--registry", "run", "vers" }, "version" },
  { { "--progress", "p" }, "plain" },
  { { "ls", "--progress", "" }, "auto bar json none plain" },
  { { "ls", "--plain" }, "--plain-http" },
  { { "inspect", "--r" }, "--raw --registry" },
  { { "login", "host", "--user" }, "--username" },
  { { "push", "demo", "--ra" }, "" },
  { { "completion", "" }, "bash fish zsh" },
  { { "help", "comp" }, "completion" },
  { { "--config", "some" }, "some file.lua" },
  { { "get", "x", "-o", "some" }, "some file.lua" },
  { { "run", "some" }, "some file.lua" },
  { { "ls", "some" }, "" },
  { { "tag", "x", "--registry", "some" }, "" },
}

-- Calls `use(dir)` where there is a file to be found.
local function with_file(use)
  work.in_directory(function(dir)
    work.write_file(dir .. "/some file.lua", "")
    use(dir)
  end)
end

local function lines_of(command)
  local pipe, list = io.popen(command), {}
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  pipe:close()
  table.sort(list)
  return table.concat(list, " ")
end

local function quoted(words)
  local out = {}
  for i, word in ipairs(words) do
    out[i] = "'" .. word .. "'"
  end
  return table.concat(out, " ")
end

describe("completion for bash", function()
  -- As bash calls it, with words as bash takes them apart.
  local HARNESS = [[
    . %s/epoch.bash
    cd %s
    compopt() { :; }
    COMP_WORDS=(epoch %s)
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _epoch
    printf '%%s\n' "${COMPREPLY[@]}" | grep .
  ]]

  local function offered(dir, words)
    work.write_file(dir .. "/harness", HARNESS:format(dir, dir, quoted(words)))
    return lines_of("bash " .. dir .. "/harness 2>&1")
  end

  it("is registered for epoch, and offers what fits", function()
    with_file(function(dir)
      work.write_file(dir .. "/epoch.bash", script "bash")
      assert.equal("complete -F _epoch epoch", lines_of(("bash -euc '. %s/epoch.bash; complete -p epoch'"):format(dir)))
      for _, case in ipairs(CASES) do
        assert.equal(case[2], offered(dir, case[1]), quoted(case[1]))
      end
      assert.equal("plain", offered(dir, { "ls", "--progress", "=", "p" }))
      assert.equal("auto bar json none plain", offered(dir, { "ls", "--progress", "=" }))
      assert.equal("version", offered(dir, { "--registry", "=", "run", "vers" }))
    end)
  end)

  it("works at a terminal", function()
    with_file(function(dir)
      work.write_file(dir .. "/epoch.bash", script "bash")
      work.with_loop(nil, function(loop)
        local d = dialogue.start(loop, "exec bash --norc --noprofile", { PS1 = "$ ", TERM = "dumb", HOME = dir })
        d:expect "$ "
        d:type(("epoch() { printf '<%%s>' \"$@\"; echo; }; cd %s; . ./epoch.bash\n"):format(dir))
        d:expect "\n"
        d:type "epoch insp\t--ra\t\n"
        d:expect "<inspect><--raw>"
        d:type "epoch get x -o so\t\n"
        d:expect "<get><x><-o><some file.lua>"
        d:type "exit\n"
        d:finish()
      end)
    end)
  end)
end)

describe("completion for fish", function()
  it("offers what fits", function()
    if not core.which "fish" then
      return pending "fish is not installed"
    end
    with_file(function(dir)
      work.write_file(dir .. "/epoch.fish", script "fish")
      for _, case in ipairs(CASES) do
        work.write_file(dir .. "/harness", ("source %s/epoch.fish; cd %s; complete -C (string join -- ' ' epoch %s)")
          :format(dir, dir, quoted(case[1])))
        local got = lines_of(("HOME=%s fish --no-config %s/harness | cut -f1"):format(dir, dir)):gsub("\\ ", " ")
        assert.equal(case[2], got, quoted(case[1]))
      end
    end)
  end)
end)

describe("completion for zsh", function()
  -- zsh completes at a terminal only: its own one, with the list of what is offered.
  local HARNESS = [[
    zmodload zsh/zpty
    zpty z "HOME=$1 zsh -f -i"
    line() { zpty -w z "$1" }
    line "autoload -U compinit; compinit -u -d $1/dump; cd $1; . $1/epoch.zsh"
    line 'zstyle ":completion:*" verbose no; zstyle ":completion:*" format ""; PS1= PS2='
    line 'compadd() { local -a found; builtin compadd -O found "$@"; print -l -- $found >>out; builtin compadd "$@" }'
    line 'show() { _main_complete }'
    line 'zle -C show complete-word show; bindkey "^I" show; unsetopt list_beep; echo re""ady'
    zpty -r z answer '*ready*'
    zpty -n -w z "epoch $2"$'\t'
    sleep 0.3
    zpty -d z
  ]]

  it("offers what fits", function()
    if not core.which "zsh" then
      return pending "zsh is not installed"
    end
    with_file(function(dir)
      work.write_file(dir .. "/epoch.zsh", script "zsh")
      work.write_file(dir .. "/harness", HARNESS)
      for _, case in ipairs(CASES) do
        os.remove(dir .. "/out")
        os.execute(("zsh -f %s/harness %s '%s' >/dev/null 2>&1"):format(dir, dir, table.concat(case[1], " ")))
        assert.equal(case[2], lines_of(("grep . %s/out | sort -u"):format(dir)), quoted(case[1]))
      end
    end)
  end)
end)

describe("completion", function()
  it("knows no other shell", function()
    for _, word in ipairs { "basch", "sh", "../bash" } do
      local result = program.run({ "completion", word }, {})
      assert.same({ 64, "" }, { result.code, result.out })
      assert.matches("^epoch: completion: there is no completion for [^\n]*; there is for bash, zsh, fish\n$",
        result.err)
    end
  end)
end)
