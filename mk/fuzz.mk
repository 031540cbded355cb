# Fuzzing with libFuzzer: every spec/fuzz/fuzz_NAME.c is a target, its seeds are in
# spec/fuzz/corpus/NAME. What is found new goes to build/fuzz, crashes too. A target that
# needs more says so with FUZZ_CFLAGS_NAME or FUZZ_LIBS_NAME.
#   make fuzz FUZZ_SECONDS=600 FUZZERS=tar
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 20
FUZZERS      ?= $(patsubst spec/fuzz/fuzz_%.c,%,$(wildcard spec/fuzz/fuzz_*.c))
FUZZ         := build/fuzz
FUZZ_COMPILE  = $(FUZZ_CC) -std=c11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer $(WARN) -Isrc \
  -fno-sanitize-recover=undefined
FUZZ_BASE    := $(patsubst src/%.c,$(FUZZ)/obj/%.o,$(wildcard src/base/*.c))

$(FUZZ)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<
-include $(FUZZ_BASE:.o=.d)

$(FUZZ)/fuzz_%: spec/fuzz/fuzz_%.c $(FUZZ_BASE)
	$(FUZZ_COMPILE) -fsanitize=fuzzer,address,undefined $(FUZZ_CFLAGS_$*) -o $@ $< $(FUZZ_BASE) \
	  $(FUZZ_LIBS_$*) $(LIBS)

fuzz: $(FUZZERS:%=$(FUZZ)/fuzz_%) ## fuzz every target for FUZZ_SECONDS (20); fails on a crash
	@for f in $(FUZZERS); do sh scripts/fuzz.sh $(FUZZ) $$f $(FUZZ_SECONDS) || exit 1; done

.PHONY: fuzz
