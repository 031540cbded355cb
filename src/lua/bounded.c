/* Running Lua that others wrote: a call with bounds, and the files such code comes from. */
#include "lep.h"

#include "../base/file.h"

/* How many instructions pass between two looks at the clock. */
enum { EVERY = 100, TRUSTED_MAX = 1024 * 1024 };

/* In force while the call runs; the allocator's userdata, so that the hook finds it too. */
struct bounds {
  lua_Alloc next;
  void *ud;
  size_t left; /* bytes by which Lua may still grow */
  int64_t steps;
  int64_t deadline;
};

static void *limited(void *ud, void *ptr, size_t osize, size_t nsize)
{
  struct bounds *b = ud;
  size_t had = ptr ? osize : 0; /* without a block, 5.4 says there what it is for */
  void *block;
  if (nsize > had && nsize - had > b->left)
    return NULL;
  block = b->next(b->ud, ptr, osize, nsize);
  if (block || nsize == 0)
    b->left = b->left + had - nsize;
  return block;
}

/* With the place in the function at work: a hook has no level of its own. */
static void stop(lua_State *L, const char *why)
{
  luaL_where(L, 0);
  lua_pushstring(L, why);
  lua_concat(L, 2);
  lua_error(L);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
  void *ud;
  struct bounds *b;
  (void)ar;
  if (lua_getallocf(L, &ud) != limited)
    return;
  b = ud;
  b->steps -= EVERY;
  if (b->steps <= 0)
    stop(L, "too many steps");
  if (ep_now_ms() > b->deadline)
    stop(L, "too much time");
}

/* core.bounded({steps=, bytes=, seconds=}, f, …) -> true, … or false, what was raised.
**
** Bounded are the instructions of f and all it calls, the growth of the whole Lua heap, and
** the time, looked at between instructions: what waits inside of C is not interrupted. */
static int core_bounded(lua_State *L)
{
  static const char *const known[] = {"steps", "bytes", "seconds", NULL};
  struct bounds b;
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), count = lua_gethookcount(L), status;
  int t = lep_options(L, 1, false, known);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  b.steps = lep_optsize(L, t, "steps", 10000000);
  b.left = (size_t)lep_optsize(L, t, "bytes", 32 * 1024 * 1024);
  b.deadline = ep_now_ms() + lep_optms(L, t, "seconds", 5000);
  b.next = lua_getallocf(L, &b.ud);
  lua_setallocf(L, limited, &b);
  lua_sethook(L, on_count, LUA_MASKCOUNT, EVERY);
  status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  lua_setallocf(L, b.next, b.ud);
  if (lua_gethook(L) == on_count) /* else a signal handler has put its own there */
    lua_sethook(L, hook, mask, count);
  lua_pushboolean(L, status == 0);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* core.read_trusted(path, max) -> bytes */
static int core_read_trusted(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  int64_t max = lep_checksize(L, 2);
  struct ep_err err;
  size_t n;
  char *buf;
  luaL_argcheck(L, max > 0 && max <= TRUSTED_MAX, 2, "1 byte to 1 MiB expected");
  buf = lep_newuserdata(L, (size_t)max);
  if (ep_fs_read_trusted(path, buf, (size_t)max, &n, &err) != EP_OK)
    return lep_fail(L, &err);
  lua_pushlstring(L, buf, n);
  return 1;
}

static const luaL_Reg functions[] = {
    {"bounded", core_bounded},
    {"read_trusted", core_read_trusted},
    {NULL, NULL},
};

void lep_open_bounded(lua_State *L)
{
  lep_setfuncs(L, functions);
}
