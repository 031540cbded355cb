/* luaopen_epoch_core: the handles that every part shares, and the parts. */
#include "lep.h"

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

/* ---- handles ---- */

static const char *short_name(const char *name)
{
  const char *dot = strchr(name, '.');
  return dot ? dot + 1 : name;
}

struct lep_handle *lep_new(lua_State *L, const char *name)
{
  struct lep_handle *h = lep_newuserdata(L, sizeof *h);
  h->obj = NULL;
  h->close = NULL;
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
  return h;
}

static struct lep_handle *to_handle(lua_State *L, int arg, const char *name)
{
  struct lep_handle *h = lep_testudata(L, arg, name);
  if (!h)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s expected, got %s", short_name(name),
                                  luaL_typename(L, arg)));
  return h;
}

void *lep_check(lua_State *L, int arg, const char *name)
{
  struct lep_handle *h = to_handle(L, arg, name);
  if (!h->obj)
    luaL_argerror(L, arg, lua_pushfstring(L, "%s is closed", short_name(name)));
  return h->obj;
}

void *lep_opt(lua_State *L, int arg, const char *name)
{
  return lua_isnoneornil(L, arg) ? NULL : lep_check(L, arg, name);
}

void *lep_test(lua_State *L, int arg, const char *name)
{
  struct lep_handle *h = lep_testudata(L, arg, name);
  return h ? h->obj : NULL;
}

/* The class name is the upvalue, so that one function serves all classes. */
static struct lep_handle *self_of(lua_State *L)
{
  return to_handle(L, 1, lua_tostring(L, lua_upvalueindex(1)));
}

static int handle_close(lua_State *L)
{
  struct lep_handle *h = self_of(L);
  void *obj = h->obj;
  h->obj = NULL;
  if (obj) {
    if (h->close)
      h->close(obj);
    ep_release(obj);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Collecting a handle only lets go of it: a flow may still use what it stood for. */
static int handle_gc(lua_State *L)
{
  struct lep_handle *h = self_of(L);
  void *obj = h->obj;
  h->obj = NULL;
  ep_release(obj);
  return 0;
}

static int handle_tostring(lua_State *L)
{
  struct lep_handle *h = self_of(L);
  const char *name = lua_tostring(L, lua_upvalueindex(1));
  if (h->obj)
    lua_pushfstring(L, "%s (%p)", name, h->obj);
  else
    lua_pushfstring(L, "%s (closed)", name);
  return 1;
}

static void set_named(lua_State *L, const char *key, const char *name, lua_CFunction f)
{
  lua_pushstring(L, name);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, key);
}

void lep_class(lua_State *L, const char *name, const luaL_Reg *methods)
{
  luaL_newmetatable(L, name);
  set_named(L, "__gc", name, handle_gc);
  set_named(L, "__close", name, handle_close);
  set_named(L, "__tostring", name, handle_tostring);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, name); /* what getmetatable shows: scripts cannot reach __gc */
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lep_setfuncs(L, methods);
  set_named(L, "close", name, handle_close);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void lep_method(lua_State *L, const char *name, const char *method, lua_CFunction f)
{
  luaL_getmetatable(L, name);
  lua_getfield(L, -1, "__index");
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, method);
  lua_pop(L, 2);
}

static void close_source(void *obj)
{
  struct ep_source *s = obj;
  if (!s->adopted) /* else it ends with whoever uses it */
    ep_source_close(s);
}

static void close_sink(void *obj)
{
  struct ep_sink *s = obj;
  if (!s->adopted)
    ep_sink_close(s);
}

void lep_setsource(struct lep_handle *h, struct ep_source *s)
{
  h->obj = s;
  h->close = close_source;
}

void lep_setsink(struct lep_handle *h, struct ep_sink *s)
{
  h->obj = s;
  h->close = close_sink;
}

struct ep_source *lep_checksource(lua_State *L, int arg)
{
  struct ep_source *s = lep_check(L, arg, LEP_SOURCE);
  if (s->adopted)
    luaL_argerror(L, arg, "this source is in use");
  return s;
}

struct ep_sink *lep_checksink(lua_State *L, int arg)
{
  struct ep_sink *s = lep_check(L, arg, LEP_SINK);
  if (s->adopted)
    luaL_argerror(L, arg, "this sink is in use");
  return s;
}

/* ---- results ---- */

int lep_fail(lua_State *L, const struct ep_err *err)
{
  lua_pushnil(L);
  lua_pushstring(L, err->text);
  lua_pushstring(L, err->code);
  return 3;
}

int lep_again(lua_State *L)
{
  lua_pushnil(L);
  lua_pushliteral(L, "not ready yet: step the loop and ask again");
  lua_pushliteral(L, "again");
  return 3;
}

void lep_pushsize(lua_State *L, int64_t n)
{
  lep_pushwhole(L, n);
}

/* ---- arguments ---- */

int64_t lep_checksize(lua_State *L, int arg)
{
  int64_t n = -1;
  if (!lep_towhole(L, arg, &n) || n < 0)
    luaL_argerror(L, arg, "whole number from 0 to 2^53 expected");
  return n;
}

const char *lep_checkpath(lua_State *L, int arg)
{
  size_t n;
  const char *s = luaL_checklstring(L, arg, &n);
  if (n == 0 || strlen(s) != n)
    luaL_argerror(L, arg, "non-empty string without NUL bytes expected");
  return s;
}

int lep_options(lua_State *L, int arg, bool optional, const char *const known[])
{
  if (optional && lua_isnoneornil(L, arg)) {
    lua_settop(L, arg < lua_gettop(L) ? lua_gettop(L) : arg);
    lua_newtable(L);
    lua_replace(L, arg);
    return arg;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    const char *const *k = known;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, arg, "option names are strings");
    while (*k && strcmp(*k, lua_tostring(L, -1)) != 0)
      k++;
    if (!*k)
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", lua_tostring(L, -1)));
  }
  return arg;
}

static void bad_option(lua_State *L, int t, const char *key, const char *expected)
{
  luaL_argerror(L, t, lua_pushfstring(L, "option '%s': %s expected", key, expected));
}

const char *lep_optstring(lua_State *L, int t, const char *key, const char *fallback)
{
  const char *s = fallback;
  lua_getfield(L, t, key);
  if (!lua_isnil(L, -1)) {
    size_t n = 0;
    if (lua_type(L, -1) != LUA_TSTRING)
      bad_option(L, t, key, "string");
    s = lua_tolstring(L, -1, &n);
    if (strlen(s) != n)
      bad_option(L, t, key, "string without NUL bytes");
  }
  lua_pop(L, 1); /* the table keeps it */
  return s;
}

int64_t lep_optsize(lua_State *L, int t, const char *key, int64_t fallback)
{
  int64_t n = fallback;
  lua_getfield(L, t, key);
  if (!lua_isnil(L, -1) && (!lep_towhole(L, -1, &n) || n < 0))
    bad_option(L, t, key, "whole number from 0 to 2^53");
  lua_pop(L, 1);
  return n;
}

bool lep_optbool(lua_State *L, int t, const char *key, bool fallback)
{
  bool b = fallback;
  lua_getfield(L, t, key);
  if (!lua_isnil(L, -1)) {
    if (!lua_isboolean(L, -1))
      bad_option(L, t, key, "boolean");
    b = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return b;
}

int64_t lep_optms(lua_State *L, int t, const char *key, int64_t fallback_ms)
{
  int64_t ms = fallback_ms;
  lua_getfield(L, t, key);
  if (!lua_isnil(L, -1)) {
    lua_Number s = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(s >= 0 && s <= 1e9))
      bad_option(L, t, key, "number of seconds");
    ms = (int64_t)(s * 1000);
  }
  lua_pop(L, 1);
  return ms;
}

void *lep_opthandle(lua_State *L, int t, const char *key, const char *name)
{
  struct lep_handle *h = NULL;
  lua_getfield(L, t, key);
  if (!lua_isnil(L, -1)) {
    h = lep_testudata(L, -1, name);
    if (!h || !h->obj)
      bad_option(L, t, key, lua_pushfstring(L, "open %s", short_name(name)));
  }
  lua_pop(L, 1);
  return h ? h->obj : NULL;
}

struct ep_source *lep_optsource(lua_State *L, int t, const char *key)
{
  struct ep_source *s = lep_opthandle(L, t, key, LEP_SOURCE);
  if (s && s->adopted)
    bad_option(L, t, key, "source that is not in use");
  return s;
}

struct ep_sink *lep_optsink(lua_State *L, int t, const char *key)
{
  struct ep_sink *s = lep_opthandle(L, t, key, LEP_SINK);
  if (s && s->adopted)
    bad_option(L, t, key, "sink that is not in use");
  return s;
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
  lua_pushstring(L, "");
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
  lep_open_fs(L);
  lep_open_loop(L);
  lep_open_flow(L);
  if (lep_open_tar)
    lep_open_tar(L);
  if (lep_open_process)
    lep_open_process(L);
  if (lep_open_http)
    lep_open_http(L);
  return 1;
}
