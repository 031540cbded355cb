--- What can be configured of the gateway, in the table `gateway` of a configuration: for
-- epoch.config.schema.
local M = {}

local RATE = {
  requests = { type = "number", min = 0.01, max = 1e6, required = true },
  burst = { type = "integer", min = 1, max = 1e6, required = true },
}

local function check_audit(value)
  if type(value) == "string" and value:sub(1, 1) ~= "/" then
    return nil, "must be true, false or an absolute path"
  end
  return true
end

--- For epoch.options.
M.FIELDS = {
  -- blobs of a bucket: clients are sent to the store itself, with a URL that is good for a while
  redirect = { type = "boolean" },
  -- seconds after its last activity that an upload may be thrown away (a day)
  session_ttl = { type = "integer", min = 1 },
  -- the home that is served: file:///DIR or s3://BUCKET[/PREFIX]
  store = { type = "string", min = 1 },
  -- what everybody may; pull is allowed where nothing is said, deleting is as pushing
  anonymous_pull = { type = "boolean" },
  anonymous_push = { type = "boolean" },
  anonymous_delete = { type = "boolean" },
  -- hooks: who may do what, (actor, action, repository) -> true, false or nil; a repository's other name
  allow = { type = "function" },
  rewrite = { type = "function" },
  -- seconds for which a short-lived token is good
  token_lifetime = { type = "integer", min = 60, max = 86400 },
  -- networks whose X-Forwarded-* are believed
  trusted_proxies = { array = { type = "string", min = 1 } },
  -- origins of web pages that may use the gateway
  cors = { array = { type = "string", min = 1 } },
  -- for each client's address, and for each token: requests a second, and how many at once
  rate_limit = { fields = RATE },
  -- where the line for each write goes: true for nginx's error log, false for none, or a file
  audit = { type = { "boolean", "string" }, check = check_audit },
  -- who may see /metrics: this machine and tokens, or everybody
  metrics = { enum = { "token", "open" } },
  -- manifests whose blobs are not all there
  sparse = { type = "boolean" },
}

return M
