# Running the specs. Everything here but `test` and `quickstart` installs nothing.
#   make check SPEC=spec/core/tar_spec.lua VMS=luajit ARGS='--filter=pax'
VMS  ?= lua5.4 luajit
SPEC ?=
ARGS ?=
INSTALL_DEBS = sh packaging/debian-install.sh
RUN_SPECS    = EPOCH_BUILD=$(BUILD) sh scripts/run-specs.sh
C_TESTS      = $(patsubst spec/c/%.c,$(BUILD)/spec/c/%,$(wildcard spec/c/*_test.c))

quickstart: ## install what is needed (apt), build, show the module at work
	@$(INSTALL_DEBS) run build
	@$(MAKE) --no-print-directory $(JOBS) all
	lua5.4 epoch.lua run examples/quickstart.lua

test: ## install what is needed (apt), build, run all specs on both VMs, clean up
	@$(INSTALL_DEBS) run build test
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(MAKE) --no-print-directory check

check: all ## run the specs on both VMs; SPEC=file, ARGS=busted's, VMS='lua5.4 luajit'
	@BUSTED_ARGS="$(ARGS)" $(RUN_SPECS) "$(VMS)" $(SPEC)

interop: all ## specs against other people's programs; says what it skips for want of what
	@sh scripts/interop.sh && EPOCH_MAY_SKIP=1 BUSTED_ARGS="$(ARGS)" $(RUN_SPECS) "$(VMS)" $(or $(SPEC),spec/interop)

# One VM: it is the store that is tried, and one cluster is enough for a machine.
test-scale: all ## an S3 store of eight daemons, killed in turns under load: nothing may be lost
	@BUSTED_ARGS="$(ARGS)" $(RUN_SPECS) "$(firstword $(VMS))" spec/scale

gchostile: all ## the core's specs while the collector runs at every turn
	@EPOCH_HOSTILE_GC=1 BUSTED_ARGS="$(ARGS)" $(RUN_SPECS) "$(VMS)" $(or $(SPEC),spec/core)

# Programs in C that are tests: each is linked with the whole of src/base and src/http.
$(BUILD)/spec/c/%: spec/c/%.c $(PLAIN)
	@mkdir -p $(@D)
	$(call Q,CC $@)$(COMPILE) -Isrc -o $@ $< $(PLAIN) $(LDFLAGS) $(LIBS)

check-c: $(C_TESTS) ## build and run every spec/c/*_test.c
	@for t in $(C_TESTS); do echo "== $$t"; $$t || exit 1; done

bench: all ## measure against openssl and curl; fails when a ratio is missed; ARGS=areas
	lua5.4 bench/run.lua $(ARGS)

.PHONY: quickstart test check interop test-scale gchostile check-c bench
