# Builds the core for both Lua ABIs. `make help` lists the targets.
CC      ?= gcc
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Werror=implicit-function-declaration $(WERROR)
LIBS     = $(shell pkg-config --libs libcurl libcrypto libarchive libzstd) -lpthread -lm
BUILD   ?= build

SOURCES := $(wildcard src/base/*.c src/http/*.c src/lua/*.c)
HEADERS := $(wildcard src/base/*.h src/http/*.h src/lua/*.h)
INC_5.4  = $(shell pkg-config --cflags lua5.4)
INC_5.1  = $(shell pkg-config --cflags luajit)

all: $(BUILD)/lua/5.4/epoch/core.so $(BUILD)/lua/5.1/epoch/core.so

define abi
$(BUILD)/obj/$(1)/%.o: src/%.c $(HEADERS)
	@mkdir -p $$(@D)
	$$(CC) -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $$(WARN) $$(CFLAGS) $$(INC_$(1)) -c -o $$@ $$<

$(BUILD)/lua/$(1)/epoch/core.so: $(SOURCES:src/%.c=$(BUILD)/obj/$(1)/%.o)
	@mkdir -p $$(@D)
	$$(CC) -shared $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(eval $(call abi,5.4))
$(eval $(call abi,5.1))

clean:
	rm -rf $(BUILD)

.PHONY: all clean
