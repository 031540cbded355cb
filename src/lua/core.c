/* luaopen_epoch_core: what is alive in this state, and the parts that make up the core. */
#include "lep.h"

#include <openssl/crypto.h>
#include <zstd.h>

static int core_live(lua_State *L)
{
  struct ep_host *host = lep_host(L);
  int k;
  lua_createtable(L, 0, EP_KINDS);
  for (k = 0; k < EP_KINDS; k++) {
    lep_pushwhole(L, atomic_load(&host->live[k]));
    lua_setfield(L, -2, ep_kind_names[k]);
  }
  return 1;
}

static int core_versions(lua_State *L)
{
  lua_createtable(L, 0, 4);
  lep_call_part(L, "epoch.core.http", "version");
  lua_setfield(L, -2, "curl");
  lep_call_part(L, "epoch.core.unwrap", "version");
  lua_setfield(L, -2, "libarchive");
  lua_pushstring(L, OpenSSL_version(OPENSSL_VERSION_STRING));
  lua_setfield(L, -2, "openssl");
  lua_pushstring(L, ZSTD_versionString());
  lua_setfield(L, -2, "zstd");
  return 1;
}

static const luaL_Reg functions[] = {
    {"live", core_live},
    {"versions", core_versions},
    {NULL, NULL},
};

#pragma GCC visibility push(default)
int luaopen_epoch_core(lua_State *L);
#pragma GCC visibility pop

int luaopen_epoch_core(lua_State *L)
{
  lep_pin(functions);
  lep_make_host(L);
  lua_newtable(L);
  lep_setfuncs(L, functions);
  lep_open_digest(L);
  lep_open_io(L);
  lep_open_spool(L);
  lep_open_relay(L);
  lep_open_fs(L);
  lep_open_bounded(L);
  lep_open_loop(L);
  lep_open_flow(L);
  lep_open_tar(L);
  lep_open_process(L);
  lep_open_terminal(L);
  lep_open_priority(L);
  lep_open_parts(L);
  return 1;
}
