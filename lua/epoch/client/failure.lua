--- What a registry's refusal means, as an error: kind by status, words from its body.
local address = require "epoch.client.address"
local errors = require "epoch.errors"
local json = require "epoch.json"
local text = require "epoch.text"

local M = {}

--- How much of an error's body is read.
M.MAX = 8192

local KIND = {
  [401] = "unauthorized", [403] = "denied", [404] = "not_found", [405] = "unsupported",
  [408] = "timeout", [429] = "rate_limited", [501] = "unsupported", [505] = "unsupported",
  [504] = "timeout",
}

local REASON = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict",
  [413] = "Content Too Large", [416] = "Range Not Satisfiable", [429] = "Too Many Requests",
  [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

-- "unavailable" may work later; "refused" is our request, and stays so; a 3xx was not followed.
local function kind_of(status)
  return KIND[status] or (status >= 500 and "unavailable") or (status >= 400 and "refused") or "invalid"
end

-- {"errors":[{"code":…,"message":…}]}, the first few of them.
local function words_of_errors(list)
  local words = {}
  for i = 1, math.min(#list, 3) do
    local one = list[i]
    if type(one) == "table" then
      local parts = {}
      for _, key in ipairs { "code", "message" } do
        if type(one[key]) == "string" and one[key] ~= "" then
          parts[#parts + 1] = one[key]
        end
      end
      words[#words + 1] = table.concat(parts, ": ")
    end
  end
  return table.concat(words, "; ")
end

--- What the body of an error says, or "": OCI's errors, or a short text.
---@param body string
---@param content_type string?
---@return string
function M.words(body, content_type)
  local value = json.decode(body)
  if type(value) == "table" then
    if type(value.errors) == "table" then
      return words_of_errors(value.errors)
    end
    local said = value.error_description or value.details or value.message or value.error
    return type(said) == "string" and said or ""
  elseif (content_type or ""):find("^text/plain") then
    return text.printable((body:gsub("%s+$", "")), 200)
  end
  return ""
end

-- Servers quote what they were sent; addresses carry signatures in their queries.
local function redact(words, secret)
  words = words:gsub("(https?://[^%s\"'?]*)%?[^%s\"']*", "%1?...")
  if secret and #secret >= 4 then
    local at = words:find(secret, 1, true)
    while at do
      words = words:sub(1, at - 1) .. "***" .. words:sub(at + #secret)
      at = words:find(secret, at + 3, true)
    end
  end
  return words
end

--- The error for an answer that is not what was asked for.
---@param answer { status: integer, method: string, asked: string, content_type: string?, secret: string? }
---@param body string? what could be read of it
---@return epoch.Error
function M.of(answer, body)
  local status = answer.status
  local message = ("%s %s: %d%s"):format(answer.method, address.shown(answer.asked), status,
    REASON[status] and " " .. REASON[status] or "")
  local words = body and redact(M.words(body, answer.content_type), answer.secret) or ""
  if words ~= "" then
    message = message .. ": " .. words
  end
  return errors.new(kind_of(status), text.printable(message), { status = status })
end

return M
