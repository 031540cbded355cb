/* Parts of the core that are loaded when they are first used: libcurl and libarchive take
** longer to load than all the rest, and most programs need one of them or none. Each part is
** a module of its own that answers a table of functions; scripts see one core.
*/
#include "lep.h"

static const struct part_function {
  const char *module, *name;
  const char *class; /* a method of this class; NULL: a function of the core */
} lazy[] = {
    {"epoch.core.http", "request", LEP_LOOP},
    {"epoch.core.http", "resolve", NULL},
    {"epoch.core.http", "origin", NULL},
    {"epoch.core.unwrap", "unwrap", NULL},
};

/* Pushes the function. */
static void find(lua_State *L, const char *module, const char *name)
{
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void lep_call_part(lua_State *L, const char *module, const char *name)
{
  find(L, module, name);
  lua_call(L, 0, 1);
}

static int call_lazy(lua_State *L)
{
  const struct part_function *f = lua_touserdata(L, lua_upvalueindex(1));
  find(L, f->module, f->name);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

void lep_open_parts(lua_State *L)
{
  size_t i;
  for (i = 0; i < sizeof lazy / sizeof *lazy; i++) {
    if (lazy[i].class) {
      luaL_getmetatable(L, lazy[i].class);
      lua_getfield(L, -1, "__index");
      lua_remove(L, -2);
    } else {
      lua_pushvalue(L, -1);
    }
    lua_pushlightuserdata(L, (void *)&lazy[i]);
    lua_pushcclosure(L, call_lazy, 1);
    lua_setfield(L, -2, lazy[i].name);
    lua_pop(L, 1);
  }
}
