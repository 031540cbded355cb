# The same specs on instrumented builds. Suppressions, each with its reason: spec/support/*.supp
SAN      = -O1 -g -fno-omit-frame-pointer -fsanitize
RUNTIME  = $(shell $(CC) -print-file-name=$(1))
SUPP     = $(CURDIR)/spec/support

ASAN_ENV = PATH=$(CURDIR)/build/asan/bin:$(PATH) \
  ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
  LSAN_OPTIONS=suppressions=$(SUPP)/lsan.supp:print_suppressions=0 \
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
TSAN_ENV = TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
MEMCHECK = valgrind -q --error-exitcode=99 --leak-check=full --num-callers=30 \
  --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
  --suppressions=$(SUPP)/valgrind.supp

# The core's specs under both VMs, each of the others under one of them: what is instrumented is
# the same core.
asan: all ## all specs under AddressSanitizer, UBSan and the leak checker
	@$(MAKE) --no-print-directory $(JOBS) all BUILD=build/asan \
	  CFLAGS="$(SAN)=address,undefined -fno-sanitize-recover=undefined"
	@CC="$(CC)" sh scripts/preloaded-vms.sh build/asan \
	  $(call RUNTIME,libasan.so) $(call RUNTIME,libubsan.so) -- $(VMS)
	@EPOCH_BUILD=build/asan EPOCH_ENV='$(ASAN_ENV)' $(if $(SPEC),,EPOCH_SHARE=1) BUSTED_ARGS="$(ARGS)" \
	  sh scripts/run-specs.sh "$(VMS)" $(SPEC)

tsan: ## the C tests of pool and loop under ThreadSanitizer
	@$(TSAN_ENV) $(MAKE) --no-print-directory $(JOBS) check-c BUILD=build/tsan CFLAGS="$(SAN)=thread"

# One VM: the core is the same, and LuaJIT's machine code means little to valgrind. A test
# tagged #native depends on what valgrind does differently, such as exec.
valgrind: all ## the core's specs under valgrind: lost memory and bad accesses are errors
	@EPOCH_WRAP='$(MEMCHECK)' BUSTED_ARGS="--exclude-tags=native $(ARGS)" \
	  $(RUN_SPECS) lua5.4 $(or $(SPEC),spec/core)

.PHONY: asan tsan valgrind
