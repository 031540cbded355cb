# A binary of the OCI distribution-spec's conformance suite against the gateway:
#   make conformance SUITE=./conformance.test [STORE=s3]
conformance: all ## the OCI conformance suite against a gateway: SUITE=its binary, STORE=s3 for a bucket
	@lua5.4 scripts/conformance.lua "$(SUITE)" "$(STORE)"

.PHONY: conformance
