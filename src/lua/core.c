/* luaopen_epoch_core: what is alive in this state, and the parts that make up the core. */
#include "lep.h"

#include "../http/http.h"

#include <archive.h>
#include <openssl/crypto.h>
#include <zstd.h>

static const char host_key = 0; /* its address is the key in the registry */

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
  lua_pushlightuserdata(L, (void *)&host_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box->host;
}

static void make_host(lua_State *L)
{
  struct host_box *box;
  lua_pushlightuserdata(L, (void *)&host_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) { /* this state has opened the core before */
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  lua_pushlightuserdata(L, (void *)&host_key);
  box = lep_newuserdata(L, sizeof *box);
  box->host = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, host_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  box->host = ep_host_new();
  if (!box->host)
    luaL_error(L, "out of memory");
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* ---- the module ---- */

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
  lua_pushstring(L, ep_http_version());
  lua_setfield(L, -2, "curl");
  lua_pushstring(L, OpenSSL_version(OPENSSL_VERSION_STRING));
  lua_setfield(L, -2, "openssl");
  lua_pushstring(L, archive_version_string());
  lua_setfield(L, -2, "libarchive");
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
  make_host(L);
  lua_newtable(L);
  lep_setfuncs(L, functions);
  lep_open_digest(L);
  lep_open_io(L);
  lep_open_spool(L);
  lep_open_fs(L);
  lep_open_loop(L);
  lep_open_flow(L);
  lep_open_tar(L);
  lep_open_process(L);
  lep_open_http(L);
  return 1;
}
