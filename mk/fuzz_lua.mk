# Targets of `make fuzz` that are written in Lua: mk/fuzz.mk builds and runs them like the
# others; they need Lua 5.4 besides.
FUZZ_LUA = challenge reference
$(foreach t,$(FUZZ_LUA),$(eval FUZZ_CFLAGS_$(t) = $$(shell pkg-config --cflags lua5.4)))
$(foreach t,$(FUZZ_LUA),$(eval FUZZ_LIBS_$(t) = $$(shell pkg-config --libs lua5.4)))
$(FUZZ_LUA:%=build/fuzz/fuzz_%): spec/fuzz/lua_target.h

$(FUZZ_LUA:%=fuzz-%): fuzz-%:
	$(MAKE) fuzz FUZZERS=$*

.PHONY: $(FUZZ_LUA:%=fuzz-%)
