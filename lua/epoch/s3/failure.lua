--- What a store's refusal means, as an error: kind by S3's code, else by the status.
local errors = require "epoch.errors"
local text = require "epoch.text"
local xml = require "epoch.s3.xml"

local M = {}

--- How much of an error's body is read.
M.MAX = 64 * 1024

local BY_CODE = {
  AccessDenied = "denied", AllAccessDisabled = "denied", AccountProblem = "denied",
  AuthorizationHeaderMalformed = "unauthorized", ExpiredToken = "unauthorized", InvalidAccessKeyId = "unauthorized",
  InvalidToken = "unauthorized", RequestTimeTooSkewed = "unauthorized", SignatureDoesNotMatch = "unauthorized",
  NoSuchBucket = "config", -- no object can be there or not there
  PermanentRedirect = "config", TemporaryRedirect = "config",
  SlowDown = "rate_limited", RequestLimitExceeded = "rate_limited", TooManyRequests = "rate_limited",
  InternalError = "unavailable", OperationAborted = "unavailable", ServiceUnavailable = "unavailable",
  RequestTimeout = "timeout", IncompleteBody = "truncated",
  ConditionalRequestConflict = "conflict", PreconditionFailed = "conflict",
  BadDigest = "digest_mismatch", XAmzContentSHA256Mismatch = "digest_mismatch",
  EntityTooLarge = "too_large", NotImplemented = "unsupported",
}

local BY_STATUS = {
  [301] = "config", [307] = "config", [308] = "config",
  [401] = "unauthorized", [403] = "denied", [404] = "not_found", [405] = "unsupported", [408] = "timeout",
  [409] = "conflict", [412] = "conflict", [416] = "invalid", [429] = "rate_limited",
  [501] = "unsupported", [504] = "timeout", [505] = "unsupported",
}

local ELSEWHERE = "the bucket is reached elsewhere: set s3.endpoint, or s3.region"

local HELP = {
  InvalidAccessKeyId = "is s3.access_key one of this store?",
  NoSuchBucket = "make the bucket first, or name another one",
  PermanentRedirect = ELSEWHERE, TemporaryRedirect = ELSEWHERE,
  RequestTimeTooSkewed = "set the clock of this machine",
  SignatureDoesNotMatch = "is s3.secret_key right?",
}

local function kind_of(code, status)
  return BY_CODE[code] or BY_STATUS[status] or (status >= 500 and "unavailable") or "refused"
end

-- Code and words of an error's body, and the region that it says the bucket is in.
local function said(body)
  local element = body and xml.parse(body)
  if not element or element.name ~= "Error" then
    return nil
  end
  local code = xml.text(element, "Code")
  return code and code:find("^%w+$") and code or nil, xml.text(element, "Message"), xml.text(element, "Region")
end

--- The error for an answer that is not what was asked for.
---@param answer { status: integer, method: string, what: string, region: string? } `region`: what
--- the store says, where it is not ours
---@param body string? what could be read of it
---@return epoch.Error
function M.of(answer, body)
  local code, words, region = said(body)
  local status = answer.status
  local message = ("%s %s: %d"):format(answer.method, answer.what, status)
  if code then
    message = message .. " " .. code
  end
  if words and words ~= "" then
    message = message .. ": " .. text.printable(words, 300)
  end
  local help = HELP[code]
  region = answer.region or code == "AuthorizationHeaderMalformed" and region
  if region then
    help = ("the bucket is in region %s: set s3.region"):format(text.quote(region, 40))
  end
  if help then
    message = message .. "; " .. help
  end
  local kind = kind_of(code, status)
  -- the status says nothing of when to try again where the code does: InternalError with 200,
  -- RequestTimeout with 400
  return errors.new(kind, message, { status = not errors.retryable(kind) and status or nil })
end

return M
