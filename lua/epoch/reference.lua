--- References: what people type to name an artifact.
--
--     [HOST[:PORT]/]NAME[:TAG][@DIGEST]
--
-- The first component is a host when it has a "." or a ":" or is "localhost" and a "/"
-- follows, as docker reads it. The tag is "latest" when neither a tag nor a digest is
-- given; where both are given the digest wins, and the tag is only remembered.
--
--     local ref = assert(reference.parse("registry.example/vms/demo:v1"))
--     ref.host, ref.name, ref.tag, ref.digest  --> "registry.example", "vms/demo", "v1", nil
--     tostring(ref)                            --> "registry.example/vms/demo:v1"
--
-- The validators are for what comes from elsewhere (manifests, listings, URLs): they take
-- anything and never raise.
local errors = require "epoch.errors"
local hosts = require "epoch.host"
local text = require "epoch.text"

---@class epoch.Reference
---@field host? string lower case, with the port where one was given
---@field name string
---@field tag? string
---@field digest? string

local M = {}

--- host, "/" and name together, as registries have it.
M.MAX_NAME = 255
M.MAX_TAG = 128
-- no reference can be longer: name, ":" tag, "@" the longest digest
local MAX = 255 + 1 + 128 + 1 + #"sha512:" + 128

local HEX = { sha256 = 64, sha512 = 128 }

local Reference = { __name = "epoch.reference" }

local function invalid(what, value, why)
  return errors.fail("invalid", ("%s %s: %s"):format(what, text.quote(value), why))
end

-- What no part of a reference may hold, said before anything finer: it would end up in a
-- URL, a header line or an argument of a program.
local function check_bytes(what, value)
  if type(value) ~= "string" then
    return errors.fail("invalid", ("a %s must be a string, not a %s"):format(what, type(value)))
  end
  local at = value:find("[^\33-\126]")
  if not at then
    return true
  end
  local b = value:byte(at)
  local name = b == 32 and "a space" or (b == 10 or b == 13) and "a line break"
    or (b < 32 or b == 127) and "a control character" or "a character that is not ASCII"
  return invalid(what, value, ("%s at byte %d"):format(name, at))
end

-- [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*, or what is wrong with it and where.
local function check_component(s)
  if s == "" then
    return false, "it has an empty part (a / too many)"
  end
  local i = 1
  while true do
    local _, last = s:find("^[a-z0-9]+", i)
    if not last then
      local c = s:sub(i, i)
      if c:find("^%u") then
        return false, ("%s in %s is upper case; names are lower case"):format(
          text.quote(c), text.quote(s))
      elseif c == "" then
        return false, ("the part %s must end with a letter or a digit"):format(text.quote(s))
      elseif c:find("^[._-]") then
        return false, i == 1 and ("the part %s must begin with a letter or a digit"):format(
          text.quote(s)) or ("the separators in %s: one \".\", one or two \"_\", or any "
          .. "number of \"-\", between letters or digits"):format(text.quote(s))
      end
      return false, ("%s in %s is not allowed; names are made of a-z, 0-9 and the separators "
        .. "\".\", \"_\", \"-\" and \"/\""):format(text.quote(c), text.quote(s))
    elseif last == #s then
      return true
    end
    local _, separator = s:find("^__?", last + 1)
    if not separator then
      _, separator = s:find("^%-+", last + 1)
    end
    if not separator then
      _, separator = s:find("^%.", last + 1)
    end
    i = (separator or last) + 1
  end
end

--- Is it the name of a repository (without host)?
---@param name any
---@return boolean? ok
---@return epoch.Error?
function M.check_name(name)
  local ok, err = check_bytes("name", name)
  if not ok then
    return nil, err
  elseif name == "" then
    return errors.fail("invalid", "the name is empty")
  elseif #name > M.MAX_NAME then
    return invalid("name", name, ("%d bytes long, at most %d are allowed"):format(
      #name, M.MAX_NAME))
  end
  for component in (name .. "/"):gmatch("([^/]*)/") do
    local good, why = check_component(component)
    if not good then
      return invalid("name", name, why)
    end
  end
  return true
end

--- Is it a tag: a letter, digit or "_", then up to 127 of those and "." and "-"?
---@param tag any
---@return boolean? ok
---@return epoch.Error?
function M.check_tag(tag)
  local ok, err = check_bytes("tag", tag)
  if not ok then
    return nil, err
  elseif tag == "" then
    return errors.fail("invalid", "the tag is empty")
  elseif #tag > M.MAX_TAG then
    return invalid("tag", tag, ("%d bytes long, at most %d are allowed"):format(#tag, M.MAX_TAG))
  elseif tag:find("^[.-]") then
    return invalid("tag", tag, "a tag begins with a letter, a digit or \"_\"")
  end
  local at = tag:find("[^%w._-]")
  if at then
    return invalid("tag", tag, ("%s is not allowed; tags are made of letters, digits and "
      .. "\"_\", \".\", \"-\""):format(text.quote(tag:sub(at, at))))
  end
  return true
end

--- Is it a digest: sha256 or sha512, a colon, and exactly as many lower-case hex digits?
---@param digest any
---@return boolean? ok
---@return epoch.Error?
function M.check_digest(digest)
  local ok, err = check_bytes("digest", digest)
  if not ok then
    return nil, err
  end
  local algorithm, hex = digest:match("^([^:]*):(.*)$")
  if not algorithm then
    return invalid("digest", digest, "it must look like sha256:… with 64 hex digits")
  elseif not HEX[algorithm] then
    return invalid("digest", digest, ("the algorithm %s is not sha256 or sha512")
      :format(text.quote(algorithm)))
  elseif #hex ~= HEX[algorithm] then
    return invalid("digest", digest, ("%d characters after the colon, %s has %d"):format(
      #hex, algorithm, HEX[algorithm]))
  end
  local at = hex:find("[^0-9a-f]")
  if at then
    return invalid("digest", digest, ("%s is not a lower-case hex digit"):format(
      text.quote(hex:sub(at, at))))
  end
  return true
end

--- What a manifest is asked for by: "tag" or "digest", checked.
---@param given any
---@return "tag"|"digest"|nil
---@return epoch.Error?
function M.tag_or_digest(given)
  local is_digest = type(given) == "string" and given:find(":", 1, true) ~= nil
  local ok, err = (is_digest and M.check_digest or M.check_tag)(given)
  return ok and (is_digest and "digest" or "tag"), err
end

--- Is it a host, with or without a port? (See epoch.host.)
M.check_host = hosts.check

local function looks_like_host(component)
  return component == "localhost" or component:find("[.:]") ~= nil
end

--- A reference from its parts. The host is folded to lower case.
---@param parts {host?: string, name: string, tag?: string, digest?: string}
---@return epoch.Reference?
---@return epoch.Error?
function M.new(parts)
  local host, name, tag, digest = parts.host, parts.name, parts.tag, parts.digest
  if host == nil then
    local first = type(name) == "string" and name:match("^([^/]*)/")
    if first and looks_like_host(first) then
      return invalid("name", name, ("its first part reads as a host (%s); put the host of the "
        .. "registry before it"):format(text.quote(first)))
    end
  else
    local ok, err = hosts.check(host)
    if not ok then
      return nil, err
    elseif not looks_like_host(host) then
      return invalid("host", host, "without a dot or a port it reads as a part of the name; "
        .. "add the port")
    end
    host = host:lower()
  end
  local ok, err = M.check_name(name)
  if not ok then
    return nil, err
  elseif host and #host + 1 + #name > M.MAX_NAME then
    return invalid("name", name, ("%d bytes long together with the host, at most %d are allowed")
      :format(#host + 1 + #name, M.MAX_NAME))
  end
  if tag ~= nil then
    ok, err = M.check_tag(tag)
    if not ok then
      return nil, err
    end
  end
  if digest ~= nil then
    ok, err = M.check_digest(digest)
    if not ok then
      return nil, err
    end
  elseif tag == nil then
    tag = "latest"
  end
  return setmetatable({ host = host, name = name, tag = tag, digest = digest }, Reference)
end

--- Reads a reference. Never raises for a string, whatever is in it.
---@param s string
---@return epoch.Reference?
---@return epoch.Error?
function M.parse(s)
  if type(s) ~= "string" then
    error("a reference must be a string, not a " .. type(s), 2)
  elseif s == "" then
    return errors.fail("invalid", "the reference is empty; it looks like NAME:TAG")
  elseif #s > MAX then
    return invalid("reference", s, ("%d bytes long, at most %d are allowed"):format(#s, MAX))
  elseif s:find("://", 1, true) then
    return invalid("reference", s, "a reference has no scheme; it is [HOST[:PORT]/]NAME[:TAG]")
  end
  local ok, err = check_bytes("reference", s)
  if not ok then
    return nil, err
  end
  local rest, digest = s:match("^([^@]*)@(.*)$")
  rest = rest or s
  local host, path = rest:match("^([^/]*)/(.*)$")
  if not host or not looks_like_host(host) then
    host, path = nil, rest
  end
  -- only the last component can have a tag; a colon before it is left to check_name
  local name, tag = path:match("^(.-[^/:]*):([^/]*)$")
  local ref
  ref, err = M.new { host = host, name = name or path, tag = tag, digest = digest }
  if not ref then
    if (name or path) == s then -- the message names all of it already
      return nil, err
    end
    return invalid("reference", s, err.message)
  end
  return ref
end

--- The reference as text; parsing that gives an equal reference.
---@param ref epoch.Reference
---@return string
function M.format(ref)
  return (ref.host and ref.host .. "/" or "") .. ref.name
    .. (ref.tag and ":" .. ref.tag or "") .. (ref.digest and "@" .. ref.digest or "")
end

Reference.__tostring = M.format

function Reference.__eq(a, b)
  return a.host == b.host and a.name == b.name and a.tag == b.tag and a.digest == b.digest
end

return M
