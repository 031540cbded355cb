# The gateway beside others. SIZE is that of the blobs in MiB.
SIZE ?= 1024

$(BUILD)/bench/%: bench/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(call Q,CC $@)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -o $@ $<

bench-gateway: all $(BUILD)/bench/load ## measure the gateway beside nginx and docker-registry; SIZE=MiB, ARGS=figures
	BENCH_MIB=$(SIZE) lua5.4 bench/gateway/run.lua $(ARGS)

.PHONY: bench-gateway
