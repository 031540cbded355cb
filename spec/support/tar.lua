--- Tar archives for specs: made by hand from raw fields, so that they can be wrong in any way,
--- and read into a plain list of what came out.

local core = require "epoch.core"

local M = {}

M.SPARSE = "COCOON.sparse"
M.trailer = ("\0"):rep(1024)

function M.pad(bytes)
  return bytes .. ("\0"):rep(-#bytes % 512)
end

local function field(bytes, n)
  return bytes .. ("\0"):rep(n - #bytes)
end

--- One block. Fields are the raw bytes of their place; what is not given is as Go writes it.
---@param f { name: string?, mode: string?, size: string?, mtime: string?, sum: string?,
---  type: string?, magic: string?, prefix: string? }
function M.header(f)
  local function block(sum)
    return table.concat {
      field(f.name or "file", 100), field(f.mode or "0000640", 8), field("0000000", 8),
      field("0000000", 8), field(f.size or "00000000000", 12), field(f.mtime or "00000000000", 12),
      sum, f.type or "0", field("", 100), field(f.magic or "ustar\00000", 8), field("", 32),
      field("", 32), field("0000000", 8), field("0000000", 8), field(f.prefix or "", 155),
      ("\0"):rep(12),
    }
  end
  local n = 0
  for _, byte in ipairs { block((" "):rep(8)):byte(1, 512) } do
    n = n + byte
  end
  return block(field(f.sum or ("%06o\0 "):format(n), 8))
end

function M.octal(n)
  return ("%011o"):format(n)
end

--- "LEN key=value\n"
function M.record(key, value)
  local rest = #key + #value + 3
  local len = rest + #tostring(rest)
  if #tostring(len) > #tostring(rest) then
    len = rest + #tostring(len)
  end
  return ("%d %s=%s\n"):format(len, key, value)
end

--- An extended header around `body` (a string, or an array of {key, value}).
function M.pax(body)
  if type(body) == "table" then
    local records = {}
    for i, r in ipairs(body) do
      records[i] = M.record(r[1], r[2])
    end
    body = table.concat(records)
  end
  return M.header { name = "PaxHeaders.0/file", mode = "0000000", type = "x",
                    size = M.octal(#body) } .. M.pad(body)
end

--- A whole entry; `f` may override any field of its header.
function M.file(name, data, f)
  local h = { name = name, size = M.octal(#data) }
  for k, v in pairs(f or {}) do
    h[k] = v
  end
  return M.header(h) .. M.pad(data)
end

local function drain(source, again)
  local pieces = {}
  while true do
    local piece, message, code = source:read(65536)
    if piece then
      pieces[#pieces + 1] = piece
    elseif piece == false then
      return table.concat(pieces)
    elseif code ~= "again" then
      return nil, message, code
    else
      again()
    end
  end
end

local function describe(entry, data)
  local lines = { ("%s mode=%o size=%.0f mtime=%.0f"):format(entry.name, entry.mode, entry.size,
                                                             entry.mtime) }
  for _, r in ipairs(entry.pax) do
    lines[#lines + 1] = M.record(r[1], r[2])
  end
  if entry.sparse then
    lines[#lines + 1] = ("sparse %.0f %s"):format(entry.sparse.size, entry.sparse.map)
  end
  lines[#lines + 1] = core.digest(data)
  return table.concat(lines, "\n")
end

--- Everything a reader gives for a source: one string an entry, then "end" or the failure.
--- `again` is called whenever it wants more.
function M.events(source, again)
  local reader = assert(core.tar_reader(source, { sparse = M.SPARSE }))
  local out = {}
  local function next_entry()
    while true do
      local entry, message, code = reader:next()
      if entry ~= nil or code ~= "again" then
        return entry, message, code
      end
      again()
    end
  end
  while true do
    local entry, message, code = next_entry()
    local data
    if entry then
      local body = assert(reader:body())
      assert(body:total() == entry.size)
      data, message, code = drain(body, again)
      body:close()
    end
    if not data then
      out[#out + 1] = entry == false and "end" or code .. ": " .. message
      reader:close()
      return out
    end
    out[#out + 1] = describe(entry, data)
  end
end

--- `archive` in one piece.
function M.whole(archive)
  return M.events(core.bytes(archive), error)
end

--- `archive` through a pipe that never holds more than one piece; `piece()` says how long the
--- next one is.
function M.in_pieces(archive, piece)
  local source, sink = assert(core.pipe())
  local at = 0
  local events = M.events(source, function()
    if at == #archive then
      assert(sink:finish())
      return
    end
    local n = math.min(piece(), #archive - at)
    assert(sink:write(archive:sub(at + 1, at + n)) == n)
    at = at + n
  end)
  sink:close()
  return events
end

--- Skips the rest of an entry; a reader without a loop may have to be asked again.
function M.skip(reader)
  local ok, message, code
  repeat
    ok, message, code = reader:skip()
  until code ~= "again"
  return ok, message, code
end

--- The failure of an archive, or nil: code, message.
function M.failure(archive, options)
  local reader = assert(core.tar_reader(core.bytes(archive), options or { sparse = M.SPARSE }))
  while true do
    local entry, message, code = reader:next()
    if entry then
      entry, message, code = M.skip(reader)
    end
    if not entry then
      reader:close()
      if entry == nil then
        return code, message
      end
      return nil
    end
  end
end

return M
