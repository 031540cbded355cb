/* One host for each Lua state, whichever part of the core is loaded first. */
#include "lep.h"

#include <dlfcn.h>

/* A string and no address: each part of the core is a library with constants of its own. */
static const char host_key[] = "epoch.host";

struct host_box {
  struct ep_host *host;
};

static int host_gc(lua_State *L)
{
  struct host_box *box = lua_touserdata(L, 1);
  struct ep_host *host = box->host;
  box->host = NULL;
  ep_host_release(host);
  return 0;
}

struct ep_host *lep_host(lua_State *L)
{
  struct host_box *box;
  lua_getfield(L, LUA_REGISTRYINDEX, host_key);
  box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box->host;
}

void lep_make_host(lua_State *L)
{
  struct host_box *box;
  lua_getfield(L, LUA_REGISTRYINDEX, host_key);
  if (lua_isnil(L, -1)) {
    box = lep_newuserdata(L, sizeof *box);
    box->host = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, host_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    box->host = ep_host_new();
    if (!box->host)
      luaL_error(L, "out of memory");
    lua_setfield(L, LUA_REGISTRYINDEX, host_key);
  }
  lua_pop(L, 1);
}

void lep_pin(const void *inside)
{
  Dl_info info;
  void *library = NULL;
  if (dladdr(inside, &info) != 0 && info.dli_fname)
    library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  if (library)
    (void)dlclose(library);
}
