# Builds the core for both Lua ABIs. `make help` lists the targets; they live in mk/.
ifeq ($(origin CC),default)
CC       = gcc
endif
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Werror=implicit-function-declaration $(WERROR)
BUILD   ?= build

# Asked for when they are used: in a bare system `make test` installs pkg-config first.
LIBS     = $(shell pkg-config --libs libcurl libcrypto libarchive libzstd) -lpthread -lm
INC_5.4  = $(shell pkg-config --cflags lua5.4)
INC_5.1  = $(shell pkg-config --cflags luajit)
COMPILE  = $(CC) -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) $(CFLAGS) -MMD -MP

# src/base and src/http know no Lua: compiled once for both.
PLAIN   := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/base/*.c src/http/*.c))
BINDING := $(wildcard src/lua/*.c)
CORES   := $(BUILD)/lua/5.4/epoch/core.so $(BUILD)/lua/5.1/epoch/core.so

all: $(CORES) ## build the core for Lua 5.4 and for LuaJIT (default)

# Changes when the flags do, so that nothing stale is linked.
FLAGS   := $(BUILD)/flags
$(shell mkdir -p $(BUILD); printf '%s\n' '$(CC) $(CFLAGS) $(LDFLAGS) $(WERROR)' >$(FLAGS).new; \
        cmp -s $(FLAGS).new $(FLAGS) && rm $(FLAGS).new || mv $(FLAGS).new $(FLAGS))

$(BUILD)/obj/%.o: src/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

define abi
OBJ_$(1) := $$(BINDING:src/%.c=$$(BUILD)/obj/$(1)/%.o)
$$(BUILD)/obj/$(1)/%.o: src/%.c $$(FLAGS)
	@mkdir -p $$(@D)
	$$(COMPILE) $$(INC_$(1)) -c -o $$@ $$<
$$(BUILD)/lua/$(1)/epoch/core.so: $$(OBJ_$(1)) $$(PLAIN)
	@mkdir -p $$(@D)
	$$(CC) -shared $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
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
