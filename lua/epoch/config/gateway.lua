--- What can be configured of the gateway, in the table `gateway` of a configuration: for
-- epoch.config.schema.
local M = {}

--- For epoch.options.
M.FIELDS = {
  -- whoever comes may push and delete
  anonymous_push = { type = "boolean" },
  -- blobs of a bucket: clients are sent to the store itself, with a URL that is good for a while
  redirect = { type = "boolean" },
  -- seconds after its last activity that an upload may be thrown away (a day)
  session_ttl = { type = "integer", min = 1 },
  -- the home that is served: file:///DIR or s3://BUCKET[/PREFIX]
  store = { type = "string", min = 1 },
  -- manifests whose blobs are not all there
  sparse = { type = "boolean" },
}

return M
