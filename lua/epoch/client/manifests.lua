--- Manifests of a registry: fetched with their bytes checked, stored, deleted.
local core = require "epoch.core"
local errors = require "epoch.errors"
local json = require "epoch.json"
local media = require "epoch.media"
local reference = require "epoch.reference"
local text = require "epoch.text"

local M = {}

local ACCEPT = table.concat(media.MANIFESTS, ", ")

-- Content types of servers that do not know what they give.
local VAGUE = { ["application/json"] = true, ["application/octet-stream"] = true, ["text/plain"] = true }

local function is_digest(ref)
  return type(ref) == "string" and ref:find(":", 1, true) ~= nil
end

local function check(name, ref)
  local ok, err = reference.check_name(name)
  if not ok then
    return nil, err
  end
  return reference.tag_or_digest(ref)
end

local function call(self, method, name, ref, actions, expect)
  return {
    method = method, path = ("%s/manifests/%s"):format(self:full(name), ref),
    scopes = { self:scope(name, actions) }, headers = { Accept = ACCEPT }, expect = expect,
  }
end

local function shown(self, name, ref)
  return ("%s%s%s%s"):format(self.address.url, name, is_digest(ref) and "@" or ":", ref)
end

-- The digest of the bytes: by the algorithm asked for, else sha256.
local function digest_of(bytes, ref)
  return core.digest(bytes, is_digest(ref) and core.parse_digest(ref) or nil)
end

-- What the server and the manifest say that it is, where they agree.
local function media_type_of(content_type, bytes)
  local said = content_type and content_type:match("^%s*([^;%s]+)")
  said = said and said:lower()
  if said and VAGUE[said] then
    said = nil
  end
  local value, err = json.decode(bytes)
  if type(value) ~= "table" then
    return errors.fail("invalid", err and err.message or "it is no JSON object")
  end
  local own = value.mediaType
  if own ~= nil and type(own) ~= "string" then
    return errors.fail("invalid", "its mediaType is no string")
  elseif said and own and own:lower() ~= said then
    return errors.fail("invalid", ("it is ambiguous: the registry says %s, the manifest itself %s"):format(
      text.quote(said), text.quote(own)))
  elseif not (own or said) then
    return errors.fail("invalid", "neither the registry nor the manifest says what type it is")
  end
  return own or said
end

--- A manifest with the bytes as they are stored.
---@param name string
---@param ref string a tag or a digest
---@return { bytes: string, media_type: string, digest: string }?
---@return epoch.Error?
function M:get_manifest(name, ref)
  local ok, err = check(name, ref)
  if not ok then
    return nil, err
  end
  local get = call(self, "GET", name, ref, "pull", { [200] = true })
  get.max = json.MAX
  local answer
  answer, err = self.session:ask(get)
  if not answer then
    return nil, err
  end
  local digest = digest_of(answer.bytes, ref)
  if is_digest(ref) and digest ~= ref then
    return errors.fail("digest_mismatch", ("%s: what arrived has the digest %s"):format(
      shown(self, name, ref), digest))
  end
  local media_type
  media_type, err = media_type_of(answer:header("content-type"), answer.bytes)
  if not media_type then
    return nil, errors.wrap(err, "the manifest " .. shown(self, name, ref))
  end
  return { bytes = answer.bytes, media_type = media_type, digest = digest }
end

--- Stores a manifest under a tag or its digest; answers its digest.
---@param name string
---@param ref string
---@param bytes string
---@param media_type string
---@return string?
---@return epoch.Error?
function M:put_manifest(name, ref, bytes, media_type)
  local ok, err = check(name, ref)
  if not ok then
    return nil, err
  elseif #bytes > json.MAX then
    return errors.fail("refused", ("the manifest %s has %d bytes; registries take at most %d"):format(
      shown(self, name, ref), #bytes, json.MAX))
  elseif media_type == "" or media_type:find("[^\33-\126]") then
    return errors.fail("invalid", ("the media type %s is none"):format(text.quote(media_type)))
  end
  local digest = digest_of(bytes, ref)
  if is_digest(ref) and digest ~= ref then
    return errors.fail("digest_mismatch", ("%s: the manifest to store has the digest %s"):format(
      shown(self, name, ref), digest))
  end
  local put = call(self, "PUT", name, ref, "pull,push", { [200] = true, [201] = true })
  put.headers, put.bytes = { ["Content-Type"] = media_type }, bytes
  local answer
  answer, err = self.session:ask(put)
  if not answer then
    return nil, err
  end
  local theirs = answer:header("docker-content-digest")
  answer:discard()
  if theirs and theirs ~= digest and core.parse_digest(theirs) == core.parse_digest(digest) then
    return errors.fail("digest_mismatch", ("%s: the registry has stored something else, %s instead of %s"):format(
      shown(self, name, ref), theirs, digest))
  end
  return digest
end

local GONE = { [200] = true, [202] = true, [204] = true, [404] = true }

local function delete(self, name, ref)
  return self.session:ask(call(self, "DELETE", name, ref, "pull,delete", GONE))
end

-- Other tags of the same manifest, which deleting it by digest would take along.
local function others(self, name, tag, digest)
  local tags, err = self:tags(name)
  if not tags then
    return nil, err
  end
  local found = {}
  for _, other in ipairs(tags) do
    if other ~= tag then
      local manifest, why = self:get_manifest(name, other)
      if not manifest and why.kind ~= "not_found" then
        return nil, why
      elseif manifest and manifest.digest == digest then
        found[#found + 1] = other
      end
    end
  end
  return found
end

-- For registries that delete nothing but manifests, with all their tags.
local function delete_behind_tag(self, name, tag, refusal)
  local manifest, err = self:get_manifest(name, tag)
  if not manifest then
    if err.kind == "not_found" then
      return true
    end
    return nil, err
  end
  local also
  also, err = others(self, name, tag, manifest.digest)
  if not also then
    return nil, err
  elseif #also > 0 then
    return errors.fail("unsupported", ("%s cannot delete a tag by itself, and %s is also tagged %s; delete it by "
      .. "its digest %s to remove all of them"):format(self.address.url, shown(self, name, tag),
      table.concat(also, ", "), manifest.digest), { cause = refusal })
  end
  local answer
  answer, err = delete(self, name, manifest.digest)
  if not answer then
    return nil, err
  end
  answer:discard()
  return true, ("%s cannot delete a tag by itself: the manifest %s was deleted"):format(
    self.address.url, manifest.digest)
end

--- Deletes a tag, or a manifest with its tags; what is not there is success. Where a registry
--- cannot delete a tag by itself, the manifest behind it goes when no other tag needs it, and
--- a second value says so.
---@param name string
---@param ref string
---@return true?
---@return string|epoch.Error|nil note
function M:delete_manifest(name, ref)
  local ok, err = check(name, ref)
  if not ok then
    return nil, err
  end
  local answer
  answer, err = delete(self, name, ref)
  if answer then
    answer:discard()
    return true
  elseif not is_digest(ref) and (err.status == 400 or err.status == 405 or err.status == 501) then
    return delete_behind_tag(self, name, ref, err)
  end
  return nil, err
end

return M
