# Every allocation of the core and of Lua fails once, under AddressSanitizer and UBSan.
TORTURE := $(BUILD)/torture
# libarchive, libcurl and OpenSSL keep a little for the process; leaks of ours are errors.
$(TORTURE): $(wildcard src/*/*.c src/*/*.h) spec/torture/torture.c spec/torture/torture.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -DEP_TORTURE -Ispec/torture -g -O1 \
	  -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	  $(INC_5.4) -o $@ $(wildcard src/*/*.c) spec/torture/torture.c $(LIBS) -llua5.4 -ldl

torture: $(TORTURE) ## fail the n-th allocation until none is left, under ASan and UBSan
	$(TORTURE) $(wildcard spec/torture/scenarios/*.lua)

.PHONY: torture
