/* Terminals for Lua. */
#include "lep.h"

#include "../base/terminal.h"

/* core.terminal(fd) -> columns, rows | nil */
static int core_terminal(lua_State *L)
{
  unsigned columns, rows;
  if (!ep_terminal(lep_checkfd(L, 1), &columns, &rows)) {
    lua_pushnil(L);
    return 1;
  }
  lep_pushsize(L, columns);
  lep_pushsize(L, rows);
  return 2;
}

/* core.typed([{hidden=}]): a source of the lines that are typed */
static int core_typed(lua_State *L)
{
  static const char *const known[] = {"hidden", NULL};
  int t = lep_options(L, 1, true, known);
  bool hidden = lep_optbool(L, t, "hidden", false);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_source_typed(lep_host(L), hidden, &err), &err);
}

static const luaL_Reg functions[] = {
    {"terminal", core_terminal},
    {"typed", core_typed},
    {NULL, NULL},
};

void lep_open_terminal(lua_State *L)
{
  lep_setfuncs(L, functions);
}
