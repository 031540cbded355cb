/* A libFuzzer target for a Lua module. The file that includes this names it first:
**   #define LUA_TARGET "spec/fuzz/challenge.lua"
** That Lua file returns a function of the input which raises when something does not hold;
** that is a crash. A line hook tells libFuzzer which lines followed which, so that it finds
** its way in Lua code as it does in C. Runs at the top of the checkout.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer reads these as it reads the counters of instrumented C. */
#define COUNTERS 8192
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static lua_State *state;
static uint32_t last_line;

/* Between two inputs Lua owns more or less memory, which is no leak; looking for one each
** time would take nearly all of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
  return "detect_leaks=0";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(lua_State *L, lua_Debug *ar)
{
  uint32_t h = 2166136261U;
  const char *s;
  if (!lua_getinfo(L, "Sl", ar))
    return;
  for (s = ar->short_src; *s; s++)
    h = (h ^ (uint8_t)*s) * 16777619U;
  h = (h ^ (uint32_t)ar->currentline) * 16777619U;
  counters[(h ^ (last_line >> 1)) % COUNTERS]++;
  last_line = h;
}

static void fail(const char *what)
{
  (void)fprintf(stderr, "%s: %s\n", what, lua_tostring(state, -1));
  abort();
}

static int with_traceback(lua_State *L)
{
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  state = luaL_newstate();
  if (!state)
    abort();
  luaL_openlibs(state);
  if (luaL_dostring(state,
                    "package.path = './lua/?.lua;./lua/?/init.lua;' .. package.path"))
    fail("package.path");
  lua_pushcfunction(state, with_traceback);
  if (luaL_dofile(state, LUA_TARGET))
    fail("loading " LUA_TARGET);
  lua_settop(state, 2); /* the handler stays at 1, the target at 2 */
  lua_sethook(state, on_line, LUA_MASKLINE, 0);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  last_line = 0;
  lua_pushvalue(state, 2);
  (void)lua_pushlstring(state, size ? (const char *)data : "", size);
  if (lua_pcall(state, 1, 0, 1))
    fail("does not hold");
  return 0;
}
