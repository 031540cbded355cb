# The stand-in for cocoon that specs and quickstart use: spec/cocoon/main.c says what it does.
# Its objects are not among the core's: it is a program, which has state of its own.
STANDIN = $(patsubst %.c,$(BUILD)/%.o,$(wildcard spec/cocoon/*.c))

$(BUILD)/spec/cocoon/%.o: spec/cocoon/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(call Q,CC $@)$(COMPILE) -c -o $@ $<

$(BUILD)/spec/standin: $(STANDIN)
	$(call Q,LD $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_core) $(LIBS_unwrap)

all: $(BUILD)/spec/standin
-include $(STANDIN:.o=.d)
