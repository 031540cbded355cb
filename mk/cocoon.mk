# The stand-in for cocoon that specs and quickstart use: spec/cocoon/main.c says what it does.
STANDIN = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/cocoon/*.c))

$(BUILD)/obj/spec/%.o: spec/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(call Q,CC $@)$(COMPILE) -c -o $@ $<

$(BUILD)/spec/cocoon: $(STANDIN)
	@mkdir -p $(@D)
	$(call Q,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_core) $(LIBS_unwrap)

all: $(BUILD)/spec/cocoon
-include $(STANDIN:.o=.d)
