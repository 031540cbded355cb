/* Reading arguments and option tables, with messages that say what was expected. */
#include "lep.h"

int64_t lep_checksize(lua_State *L, int arg)
{
  int64_t n = -1;
  if (!lep_towhole(L, arg, &n) || n < 0)
    luaL_argerror(L, arg, "whole number from 0 to 2^53 expected");
  return n;
}

int lep_checkfd(lua_State *L, int arg)
{
  int64_t fd = lep_checksize(L, arg);
  if (fd > INT32_MAX)
    luaL_argerror(L, arg, "descriptor expected");
  return (int)fd;
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
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "unknown option '%s'", lua_tostring(L, -1)));
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
      bad_option(L, t, key, lua_pushfstring(L, "open %s", strchr(name, '.') + 1));
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
