/* Spools for Lua: bytes that are kept to be sent, as often as that takes. */
#include "lep.h"

#include "../base/file.h"

/* core.spool{dir=, memory=, limit=} */
static int core_spool(lua_State *L)
{
  static const char *const known[] = {"dir", "memory", "limit", NULL};
  int t = lep_options(L, 1, true, known);
  const char *dir = lep_optstring(L, t, "dir", "/var/tmp");
  int64_t memory = lep_optsize(L, t, "memory", 64 * 1024);
  int64_t limit = lep_optsize(L, t, "limit", -1);
  struct lep_handle *h = lep_new(L, LEP_SPOOL);
  struct ep_err err;
  h->obj = ep_spool_new(lep_host(L), dir, (size_t)memory, limit, &err);
  return h->obj ? 1 : lep_fail(L, &err);
}

static int spool_sink(lua_State *L)
{
  struct ep_spool *spool = lep_check(L, 1, LEP_SPOOL);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_spool_sink(spool), lep_nomemory(&err));
}

/* spool:source([offset[, length]]) */
static int spool_source(lua_State *L)
{
  struct ep_spool *spool = lep_check(L, 1, LEP_SPOOL);
  int64_t offset = lua_isnoneornil(L, 2) ? 0 : lep_checksize(L, 2);
  int64_t n = lua_isnoneornil(L, 3) ? -1 : lep_checksize(L, 3);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_spool_source(spool, offset, n, &err), &err);
}

static int spool_size(lua_State *L)
{
  lep_pushsize(L, ep_spool_size(lep_check(L, 1, LEP_SPOOL)));
  return 1;
}

static int spool_in_memory(lua_State *L)
{
  lua_pushboolean(L, ep_spool_in_memory(lep_check(L, 1, LEP_SPOOL)));
  return 1;
}

static const luaL_Reg methods[] = {
    {"sink", spool_sink}, {"source", spool_source},
    {"size", spool_size}, {"in_memory", spool_in_memory},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"spool", core_spool},
    {NULL, NULL},
};

void lep_open_spool(lua_State *L)
{
  lep_class(L, LEP_SPOOL, methods);
  lep_setfuncs(L, functions);
}
