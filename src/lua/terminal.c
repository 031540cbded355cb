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

static const luaL_Reg functions[] = {
    {"terminal", core_terminal},
    {NULL, NULL},
};

void lep_open_terminal(lua_State *L)
{
  lep_setfuncs(L, functions);
}
