# Builds the core for both Lua ABIs. `make help` lists the targets; they live in mk/.
ifeq ($(origin CC),default)
CC       = gcc
endif
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Werror=implicit-function-declaration $(WERROR)
BUILD   ?= build

# `make V=1` shows the commands.
Q        = $(if $(V),,@echo "  $(1)"; )
JOBS     = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# Asked for when they are used: in a bare system `make test` installs pkg-config first.
LIBS     = $(shell pkg-config --libs libcurl libcrypto libarchive libzstd) -lpthread -lm
LIBS_core   = $(shell pkg-config --libs libcrypto libzstd) -lpthread -lm
LIBS_http   = $(shell pkg-config --libs libcurl) -lpthread -lm
LIBS_unwrap = $(shell pkg-config --libs libarchive) -lpthread -lm
INC_5.4  = $(shell pkg-config --cflags lua5.4)
INC_5.1  = $(shell pkg-config --cflags luajit)
COMPILE  = $(CC) -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) $(CFLAGS) -MMD -MP

# src/base and src/http know no Lua: compiled once for both. The core is three libraries,
# because libcurl and libarchive are loaded when they are first needed (src/lua/parts.c);
# what two of them share each has for itself: the core has no state but in its objects.
SOURCES := $(wildcard src/base/*.c src/http/*.c src/lua/*.c)
HEADERS := $(wildcard src/*/*.h)
BINDING := $(filter src/lua/%,$(SOURCES))
PLAIN   := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(filter-out $(BINDING),$(SOURCES)))
HTTP    := $(filter $(BUILD)/obj/http/%,$(PLAIN))
UNWRAP  := $(BUILD)/obj/base/unwrap.o
BASE    := $(filter-out $(HTTP) $(UNWRAP),$(PLAIN))
BASE_A  := $(BUILD)/obj/base.a
SHARED  := arguments handle host
PARTS   := core core/http core/unwrap
CORES   := $(foreach abi,5.4 5.1,$(PARTS:%=$(BUILD)/lua/$(abi)/epoch/%.so))

all: $(CORES) ## build the core for Lua 5.4 and for LuaJIT (default)

# Changes when the flags do, so that nothing stale is linked.
FLAGS   := $(BUILD)/flags
$(shell mkdir -p $(BUILD); printf '%s\n' '$(CC) $(CFLAGS) $(LDFLAGS) $(WERROR)' >$(FLAGS).new; \
        cmp -s $(FLAGS).new $(FLAGS) && rm $(FLAGS).new || mv $(FLAGS).new $(FLAGS))

$(BUILD)/obj/%.o: src/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(call Q,CC $@)$(COMPILE) -c -o $@ $<

define abi
OBJ_$(1) := $$(BINDING:src/%.c=$$(BUILD)/obj/$(1)/%.o)
$$(BUILD)/obj/$(1)/%.o: src/%.c $$(FLAGS)
	@mkdir -p $$(@D)
	$$(call Q,CC $$@)$$(COMPILE) $$(INC_$(1)) -c -o $$@ $$<
BIND_$(1) := $$(BUILD)/obj/$(1)/lua
$$(BUILD)/lua/$(1)/epoch/core.so: \
    $$(filter-out $$(BIND_$(1))/http.o $$(BIND_$(1))/unwrap.o,$$(OBJ_$(1))) $$(BASE)
	$$(call link,core)
$$(BUILD)/lua/$(1)/epoch/core/http.so: $$(patsubst %,$$(BIND_$(1))/%.o,http $$(SHARED)) $$(HTTP) $$(BASE_A)
	$$(call link,http)
$$(BUILD)/lua/$(1)/epoch/core/unwrap.so: $$(patsubst %,$$(BIND_$(1))/%.o,unwrap $$(SHARED)) $$(UNWRAP) $$(BASE_A)
	$$(call link,unwrap)
endef
link = @mkdir -p $(@D)$(if $(V),,; echo "  LD $@"); $(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_$(1))

$(BASE_A): $(BASE)
	@rm -f $@ && $(AR) rcs $@ $^

$(eval $(call abi,5.4))
$(eval $(call abi,5.1))
-include $(PLAIN:.o=.d) $(OBJ_5.4:.o=.d) $(OBJ_5.1:.o=.d)

clean: ## remove everything that was built
	rm -rf build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile $(sort $(wildcard mk/*.mk)) | \
	  sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | sort | \
	  while IFS='|' read -r t d; do printf '  %-12s %s\n' "$$t" "$$d"; done

.PHONY: all clean help
.DELETE_ON_ERROR:

-include $(sort $(wildcard mk/*.mk))
