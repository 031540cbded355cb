# What a reviewer should not have to say. Needs the packages of section `lint`.
C_FILES   = $(wildcard src/*/*.c src/*/*.h spec/c/*.c spec/cocoon/*.[ch] bench/*.c spec/fuzz/*.c spec/torture/*.c)
LUA_FILES = $(wildcard epoch.lua lua spec examples bench packaging scripts)

lint: all ## luacheck, clang-format, cppcheck, banned calls, writable globals, sizes, rockspec
	luacheck -q $(LUA_FILES)
	@echo clang-format; clang-format --dry-run -Werror $(C_FILES)
	cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
	  --suppress=missingIncludeSystem -D_GNU_SOURCE -DLUA_VERSION_NUM=504 -Isrc src
	sh scripts/check-c.sh
	sh scripts/check-objects.sh $(BUILD)
	sh scripts/check-sizes.sh
	lua5.4 packaging/rockspec.lua --check

strict: ## build with every warning an error, with gcc and with clang
	$(MAKE) --no-print-directory $(JOBS) all BUILD=build/strict-gcc CC=gcc WERROR=-Werror
	$(MAKE) --no-print-directory $(JOBS) all BUILD=build/strict-clang CC=clang WERROR=-Werror

format: ## lay out all C as .clang-format says
	clang-format -i $(C_FILES)

rockspec: ## write the rockspec's lists of files anew from the tree
	lua5.4 packaging/rockspec.lua

.PHONY: lint strict format rockspec
