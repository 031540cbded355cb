-- What stands on stderr, to the byte, by a clock that goes when it is told to.
local pty = require "spec.support.pty"
local progress = require "epoch.cli.progress"
local text = require "epoch.text"
local width = require "epoch.cli.width"

local M = 1024 * 1024

local clock, written

before_each(function()
  clock, written = 1000, {}
end)

local out = {
  write = function(_, ...)
    written[#written + 1] = table.concat { ... }
    return true
  end,
}

-- `columns`, `rows`: the size of the terminal, functions of no arguments where it changes.
local function new(how, more)
  local environment = more and more.env or { TERM = "xterm", LANG = "C.UTF-8" }
  return progress.new {
    how = how, op = more and more.op or "pull", subject = "demo:v1", out = out,
    now = function() return clock end,
    terminal = more and more.terminal,
    env = function(name) return environment[name] end,
  }
end

local function terminal(columns, rows)
  return { terminal = function() return columns, rows end }
end

local function event(p, name, title, bytes, total, more)
  local e = { event = name, op = "pull", title = title, digest = "sha256:" .. tostring(title),
              bytes = bytes, total = total }
  for key, value in pairs(more or {}) do
    e[key] = value
  end
  p:event(e)
end

local function all()
  return table.concat(written)
end

-- The lines of one drawing, without what moves the cursor.
local function lines_of(s)
  local list = {}
  for line in s:gsub("\27%[[%d?]*[A-Za-z]", ""):gsub("\r", ""):gmatch("[^\n]+") do
    list[#list + 1] = line
  end
  return list
end

-- The last drawing.
local function last_lines()
  return lines_of(written[#written])
end

-- What its lines are about: without bars and figures.
local function names()
  local list = last_lines()
  for i, line in ipairs(list) do
    list[i] = line:match("^(.-)  ") or line
  end
  return list
end

describe("plain progress", function()
  it("says what is done, what takes long, and what it came to", function()
    local p = new("plain")
    p:event { event = "plan", op = "pull", bytes = 0, total = 3001 * M, layers = 3 }
    event(p, "start", "empty", 0, 0)
    event(p, "done", "empty", 0, 0)
    event(p, "start", "cow.raw", 0, 3000 * M)
    for i = 1, 239 do
      clock = clock + 0.125
      event(p, "progress", "cow.raw", i * 12.5 * M, 3000 * M)
    end
    clock = clock + 0.125
    event(p, "done", "cow.raw", 3000 * M, 3000 * M)
    p:line("a word\27[31m")
    event(p, "start", "config.json", 0, 2)
    event(p, "done", "config.json", 2, 2)
    p:finish(true)
    assert.equal([[
empty: 0B
cow.raw: 33% of 2.9G, 100.0M/s, ETA 0:20
cow.raw: 66% of 2.9G, 100.0M/s, ETA 0:10
cow.raw: 2.9G, 100.0M/s
a word\x1b[31m
config.json: 2B
pulled demo:v1, 3 layers, 2.9G in 30.0 s
]], all())
  end)

  it("tells reading from sending, and what was there", function()
    local p = new("plain", { op = "push" })
    local function push(name, bytes, more)
      more.digest = more.digest or false -- not known before it was read
      p:event { event = name, op = "push", title = "a", digest = more.digest or nil, bytes = bytes,
                total = 200 * M, phase = more.phase, transferred = more.transferred }
    end
    push("start", 0, { phase = "read" })
    clock = clock + 10
    push("progress", 100 * M, { phase = "read" })
    push("progress", 0, { phase = "send", digest = "sha256:a" })
    clock = clock + 10
    push("progress", 50 * M, { phase = "send", digest = "sha256:a" })
    clock = clock + 10
    push("done", 200 * M, { digest = "sha256:a", transferred = true })
    p:event { event = "start", op = "push", title = "b", bytes = 0, total = 5, phase = "read" }
    p:event { event = "done", op = "push", title = "b", bytes = 5, total = 5, transferred = false }
    clock = clock + 3600
    p:finish({ manifest_digest = "sha256:m" })
    p:finish(nil, { kind = "io" }) -- once was enough
    assert.equal([[
a: read 50% of 200.0M, 10.0M/s, ETA 0:10
a: sent 25% of 200.0M, 5.0M/s, ETA 0:30
a: 200.0M sent, 10.0M/s
b: 5B, is there already
pushed demo:v1 sha256:m, 2 layers, 200.0M, 200.0M sent in 1:00:30
]], all())
  end)

  it("does without totals, titles and layers", function()
    local p = new("plain", { op = "get" })
    local function get(name, bytes)
      p:event { event = name, op = "get", digest = "sha256:x", bytes = bytes }
    end
    get("start", 0)
    clock = clock + 10
    get("progress", 5 * M)
    get("done", 10 * M)
    p:finish(true)
    new("plain", { op = "frobnicate" }):finish(true)
    new("plain"):finish(nil, { kind = "io" })
    assert.equal([[
sha256:x: 5.0M, 512.0K/s
sha256:x: 10.0M, 1.0M/s
got demo:v1, 1 layer, 10.0M in 10.0 s
frobnicate demo:v1 in 0.0 s
]], all())
  end)

  it("is what there is where there is no terminal, or a dumb one", function()
    for _, more in ipairs {
      { terminal = function() end, env = { TERM = "xterm" } },
      { terminal = function() return 80, 24 end, env = { TERM = "dumb" } },
      { terminal = function() return 80, 24 end, env = {} },
    } do
      written = {}
      local p = new("auto", more)
      event(p, "start", "a", 0, 5)
      event(p, "done", "a", 5, 5)
      assert.equal("a: 5B\n", all())
    end
  end)
end)

describe("JSON progress", function()
  it("has the members of the contract, whole numbers, and a line a layer five times a second", function()
    local p = new("json", { op = "push" })
    p:line("not for programs")
    p:event { event = "plan", op = "push", bytes = 0, total = 99, layers = 1 }
    p:event { event = "start", op = "push", title = 'a"\27\255', bytes = 0, total = 2 ^ 52 }
    for i = 1, 32 do
      clock = clock + 1 / 64
      p:event { event = "progress", op = "push", title = 'a"\27\255', bytes = i * 2 ^ 33, total = 2 ^ 52 }
    end
    clock = clock + 1
    p:event { event = "progress", op = "push", title = 'a"\27\255', digest = "sha256:a", bytes = 0,
              total = 2 ^ 52, phase = "send" }
    p:event { event = "done", op = "push", title = 'a"\27\255', digest = "sha256:a", bytes = 2 ^ 52,
              total = 2 ^ 52, transferred = true }
    p:event { event = "start", op = "push", digest = "sha256:b", bytes = 0 }
    p:finish(nil, { kind = "io" })
    assert.equal(([[
{"event":"start","op":"push","title":"TITLE","digest":null,"bytes":0,"total":4503599627370496}
{"event":"progress","op":"push","title":"TITLE","digest":null,"bytes":111669149696,"total":4503599627370496}
{"event":"progress","op":"push","title":"TITLE","digest":null,"bytes":223338299392,"total":4503599627370496}
{"event":"done","op":"push","title":"TITLE","digest":"sha256:a","bytes":4503599627370496,"total":4503599627370496}
{"event":"start","op":"push","title":null,"digest":"sha256:b","bytes":0,"total":null}
{"event":"error","op":"push","title":null,"digest":null,"bytes":4503599627370496,"total":99}
]]):gsub("TITLE", (([[a"\x1b\xff]]):gsub('[\\"]', "\\%0"):gsub("%%", "%%%%"))), all())
  end)

  it("bears a plan of more bytes than there can be", function()
    local p = new("json")
    p:event { event = "plan", op = "pull", bytes = 0, total = 2 ^ 53 + 2 ^ 53, layers = 2 }
    p:finish(nil, { kind = "too_large" })
    assert.equal('{"event":"error","op":"pull","title":null,"digest":null,"bytes":0,"total":null}\n', all())
  end)

  it("is silent about success at the end: that is for stdout", function()
    new("json"):finish({ digest = "sha256:m" })
    assert.equal("", all())
  end)
end)

describe("no progress", function()
  it("is nothing", function()
    local p = new("none")
    event(p, "start", "a", 0, 5)
    event(p, "done", "a", 5, 5)
    p:line("x")
    p:finish(true)
    assert.equal("", all())
  end)
end)

describe("bars", function()
  local function pull(p)
    p:event { event = "plan", op = "pull", bytes = 0, total = 1000 * M, layers = 3 }
    event(p, "start", "memory-ranges", 0, 400 * M)
    event(p, "start", "cow.raw", 0, 600 * M)
    clock = clock + 1
    event(p, "progress", "cow.raw", 60 * M, 600 * M)
    event(p, "progress", "memory-ranges", 100 * M, 400 * M)
    clock = clock + 1
    event(p, "progress", "cow.raw", 120 * M, 600 * M)
  end

  it("have a line for each layer and one for all", function()
    local p = new("bar", terminal(80, 24))
    pull(p)
    assert.same({
      "memory-ranges       [██▌       ]   25%    100.0M/400.0M    56.2M/s  ETA 0:06",
      "cow.raw             [██        ]   20%    120.0M/600.0M    60.0M/s  ETA 0:08",
      "pull demo:v1 (0/3)  [██▏       ]   22%   220.0M/1000.0M   116.2M/s  ETA 0:07",
    }, last_lines())
  end)

  it("draw in one piece, where they drew before, and not too often", function()
    local p = new("bar", terminal(80, 24))
    pull(p)
    assert.equal(3, #written)
    assert.matches("^\27%[3A\r\27%[%?7l[^\27]*\27%[K\n[^\27]*\27%[K\n[^\27]*\27%[K\n\27%[%?7h\27%[J$", written[3])
    clock = clock + 1 / 16
    event(p, "progress", "cow.raw", 130 * M, 600 * M)
    assert.equal(3, #written)
    event(p, "done", "cow.raw", 600 * M, 600 * M)
    clock = clock + 1 / 16
    event(p, "progress", "memory-ranges", 200 * M, 400 * M)
    assert.equal(4, #written)
    assert.matches("^\27%[3A\r\27%[Jcow.raw: 600.0M, 290.9M/s\n\27%[%?7lmemory%-ranges ", written[4])
    assert.same({ "cow.raw: 600.0M, 290.9M/s", "memory-ranges", "pull demo:v1 (1/3)" }, names())
  end)

  it("leave what is done and the last word, so that what is said next is the last line", function()
    for _, err in ipairs { false, { kind = "io" } } do
      written = {}
      local p = new("bar", terminal(80, 24))
      pull(p)
      event(p, "done", "cow.raw", 600 * M, 600 * M)
      p:finish(not err, err or nil)
      assert.equal("\27[3A\r\27[Jcow.raw: 600.0M, 300.0M/s\n"
        .. (err and "" or "pulled demo:v1, 1 layer, 600.0M in 2.0 s\n") .. "\27[J", written[#written])
      local n = #written
      p:line("nobody hears this")
      p:finish(true)
      assert.equal(n, #written)
    end
  end)

  it("never hide the cursor, and leave it below them with the terminal as it was", function()
    local p = new("bar", terminal(80, 24))
    pull(p)
    p:line("a\nword")
    p:finish(true)
    assert.is_nil(all():find("\27[?25", 1, true))
    for _, drawing in ipairs(written) do
      local off, on = select(2, drawing:gsub("\27%[%?7l", "")), select(2, drawing:gsub("\27%[%?7h", ""))
      assert.equal(off, on)
      assert.matches("\n\27%[%?7h$", drawing:gsub("\27%[J$", "") .. (off == 0 and "\n\27[?7h" or ""))
    end
  end)

  it("let a line through above them, at once", function()
    local p = new("bar", terminal(80, 24))
    event(p, "start", "a", 0, 100)
    p:line("a\nword")
    assert.same({ "a\\nword", "a", "pull demo:v1 (0 done)" }, names())
  end)

  it("tell reading from sending", function()
    local p = new("bar", { op = "push", terminal = terminal(80, 24).terminal })
    local function push(name, title, bytes, phase, digest)
      p:event { event = name, op = "push", title = title, digest = digest, bytes = bytes, total = 100 * M,
                phase = phase }
    end
    push("start", "a", 0, "read")
    push("progress", "a", 100 * M, "read")
    push("start", "b", 0, "read")
    clock = clock + 1
    push("progress", "b", 50 * M, "read")
    push("progress", "a", 0, "send", "sha256:a")
    clock = clock + 1
    push("progress", "a", 10 * M, "send", "sha256:a")
    assert.same({
      "send a              [█         ]   10%     10.0M/100.0M    10.0M/s  ETA 0:10",
      "read b              [█████     ]   50%     50.0M/100.0M    21.9M/s  ETA 0:03",
      "push demo:v1 (0 done)                       150.0M read    65.7M/s",
    }, last_lines())
    push("progress", "b", 100 * M, "read")
    clock = clock + 1
    push("progress", "a", 20 * M, "send", "sha256:a") -- b waits
    assert.same({
      "send a              [██        ]   20%     20.0M/100.0M    10.0M/s  ETA 0:08",
      "read b              [██████████]  100%    100.0M/100.0M",
      "push demo:v1 (0 done)                        20.0M sent    10.0M/s",
    }, last_lines())
  end)

  it("do not take what is there already for speed", function()
    local p = new("bar", { op = "copy", terminal = terminal(80, 24).terminal })
    event(p, "start", "there", 0, 500 * M)
    event(p, "start", "a", 0, 100 * M)
    clock = clock + 1
    event(p, "progress", "a", 10 * M, 100 * M)
    event(p, "done", "there", 500 * M, 500 * M, { transferred = false })
    clock = clock + 1
    event(p, "progress", "a", 20 * M, 100 * M)
    assert.same({
      "there: 500.0M, is there already",
      "a                   [██        ]   20%     20.0M/100.0M    10.0M/s  ETA 0:08",
      "copy demo:v1 (1 done)                            520.0M    10.0M/s",
    }, last_lines())
  end)

  it("are of ASCII where the locale is", function()
    for _, env in ipairs { { LANG = "C" }, { LC_ALL = "POSIX", LANG = "C.UTF-8" }, {} } do
      env.TERM = "xterm"
      local more = terminal(80, 24)
      more.env = env
      local p = new("auto", more)
      event(p, "start", "straße.raw", 0, 100)
      clock = clock + 1
      event(p, "progress", "straße.raw", 45, 100)
      assert.same({
        "stra?e.raw          [====>     ]   45%         45B/100B      45B/s  ETA 0:02",
        "pull demo:v1 (0 done)                               45B      45B/s",
      }, last_lines())
    end
  end)

  local HOSTILE = {
    ("x"):rep(500), "\27]0;title\7\27[2J", ("日本語"):rep(50), ("e\204\129"):rep(200), "\226\128\174gpj",
    ("🙂"):rep(50), "a\nb\rc\0d", "\255\254",
  }

  it("fit into every terminal, whatever the layers are called", function()
    for _, locale in ipairs { "C", "C.UTF-8" } do
      for _, rows in ipairs { 1, 2, 3, 4, 9, 24 } do
        for _, columns in ipairs { 1, 2, 9, 20, 39, 40, 41, 60, 71, 72, 80, 200 } do
          written = {}
          local more = terminal(columns, rows)
          more.env = { TERM = "xterm", LANG = locale }
          local p = new("bar", more)
          for i, title in ipairs(HOSTILE) do
            clock = clock + 1
            event(p, "start", title, i, 2 ^ 53)
          end
          local list = last_lines()
          assert.is_true(#list < rows or #list == 0)
          for _, line in ipairs(list) do
            assert.is_true(width.of(line) < columns or line == "")
            assert.equal(line, text.printable(line))
          end
        end
      end
    end
  end)

  it("say how many there is no room for", function()
    local p = new("bar", terminal(80, 5))
    for i = 1, 64 do
      event(p, "start", "layer " .. i, 0, 100)
    end
    clock = clock + 1
    event(p, "progress", "layer 64", 1, 100)
    assert.same({ "layer 1", "layer 2", "and 62 more", "pull demo:v1 (0 done)" }, names())
  end)

  it("follow the window", function()
    local columns, rows = 80, 24
    local p = new("bar", { terminal = function() return columns, rows end })
    pull(p)
    columns, rows = 40, 10 -- 76, 76 and 76 columns are now two lines each
    clock = clock + 1
    event(p, "progress", "cow.raw", 180 * M, 600 * M)
    assert.equal("\27[6A\r", written[#written]:match("^\27%[%d+A\r"))
    assert.same({
      "memory-ranges      25%    100.0M/400.0M", "cow.raw            30%    180.0M/600.0M",
      "pull demo… (0/3)   28%   280.0M/1000.0M",
    }, last_lines())
    columns = 200
    clock = clock + 1
    event(p, "progress", "cow.raw", 240 * M, 600 * M)
    assert.equal("\27[3A\r", written[#written]:match("^\27%[%d+A\r"))
  end)

  it("have a terminal that says no size be as they all were once", function()
    local p = new("bar", terminal(0, 0))
    pull(p)
    assert.equal(76, width.of(last_lines()[3]))
  end)

  it("stand on a real terminal, and lines where stderr is none", function()
    local script = [[
      local p = require("epoch.cli.progress").new { how = "auto", op = "pull", subject = "demo:v1" }
      p:event { event = "start", op = "pull", title = "a", bytes = 0, total = 100 }
      p:event { event = "done", op = "pull", title = "a", bytes = 100, total = 100 }
      p:finish(true)
    ]]
    local real = { columns = 50, rows = 9, environment = "TERM=xterm LC_ALL=C.UTF-8" }
    assert.equal("\27[?7l"
      .. "a             [          ]    0%          0B/100B\27[K\r\n"
      .. "pull demo:v1 (0 done)                          0B\27[K\r\n\27[?7h"
      .. "\27[2A\r\27[Ja: 100B\r\npulled demo:v1, 1 layer, 100B in 0.0 s\r\n\27[J", pty.run(script, real))
    real.environment = "TERM=dumb"
    assert.equal("a: 100B\r\npulled demo:v1, 1 layer, 100B in 0.0 s\r\n", pty.run(script, real))
  end)
end)

describe("the width of a text", function()
  it("counts columns, not bytes", function()
    for s, columns in pairs { [""] = 0, abc = 3, ["äöü"] = 3, ["日本"] = 4, ["e\204\129"] = 1, ["🙂"] = 2, ["ｱ"] = 1 } do
      assert.equal(columns, width.of(s), s)
    end
  end)

  it("is what texts are cut to", function()
    assert.equal("abc", width.cut("abc", 3, "…"))
    assert.equal("ab…", width.cut("abcd", 3, "…"))
    assert.equal("日…", width.cut("日本語", 4, "…"))
    assert.equal("日… ", width.fit("日本語", 4, "…"))
    assert.equal("a", width.cut("abcd", 1, "..."))
    assert.equal("", width.cut("日本", 1, "…"))
    assert.equal("", width.cut("a", 0, "…"))
  end)
end)
