/* epoch.core.unwrap, a part of the core: streams without their gzip, zstd or xz. */
#include "lep.h"

#include "../base/unwrap.h"

#include <archive.h>

/* core.unwrap(source): gzip, zstd or xz taken off, anything else as it is */
static int core_unwrap(lua_State *L)
{
  struct ep_source *inner = lep_checksource(L, 1);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_unwrap_new(lep_host(L), inner, &err), &err);
}

static int unwrap_version(lua_State *L)
{
  lua_pushstring(L, archive_version_string());
  return 1;
}

static const luaL_Reg functions[] = {
    {"unwrap", core_unwrap},
    {"version", unwrap_version},
    {NULL, NULL},
};

#pragma GCC visibility push(default)
int luaopen_epoch_core_unwrap(lua_State *L);
#pragma GCC visibility pop

int luaopen_epoch_core_unwrap(lua_State *L)
{
  lep_pin(functions);
  lua_newtable(L);
  lep_setfuncs(L, functions);
  return 1;
}
