/* All that differs between Lua 5.4 and the 5.1 family, in one place.
**
** The 5.1 build uses only what PUC-Rio 5.1 exports, so that the same file loads into
** LuaJIT, OpenResty and lua5.1. Own names throughout: a shim must never define a symbol of
** Lua's. No luaL_Buffer (its size differs between the members of the family).
*/
#ifndef LEP_COMPAT_H
#define LEP_COMPAT_H

#include <lua.h>
#include <lauxlib.h>

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline size_t lep_rawlen(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 502
  return lua_rawlen(L, i);
#else
  return lua_objlen(L, i);
#endif
}

static inline int lep_absindex(lua_State *L, int i)
{
  return i > 0 || i <= LUA_REGISTRYINDEX ? i : lua_gettop(L) + i + 1;
}

/* Userdata without user values. */
static inline void *lep_newuserdata(lua_State *L, size_t n)
{
#if LUA_VERSION_NUM >= 504
  return lua_newuserdatauv(L, n, 0);
#else
  return lua_newuserdata(L, n);
#endif
}

/* Puts the functions into the table at the top. */
static inline void lep_setfuncs(lua_State *L, const luaL_Reg *fns)
{
  for (; fns->name; fns++) {
    lua_pushcfunction(L, fns->func);
    lua_setfield(L, -2, fns->name);
  }
}

/* The userdata at `arg` if its metatable is the registered one of that name, else NULL. */
static inline void *lep_testudata(lua_State *L, int arg, const char *name)
{
  void *ud = lua_touserdata(L, arg);
  bool same;
  if (!ud || lua_islightuserdata(L, arg) || !lua_getmetatable(L, arg))
    return NULL;
  luaL_getmetatable(L, name);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? ud : NULL;
}

/* A number with a whole value of at most 2^53 in size. Lua 5.4's floats included: 2^40 is
** one there. Strings are not numbers. */
static inline bool lep_towhole(lua_State *L, int arg, int64_t *out)
{
  lua_Number d;
  if (lua_type(L, arg) != LUA_TNUMBER)
    return false;
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, arg)) {
    lua_Integer i = lua_tointeger(L, arg);
    if (i > ((lua_Integer)1 << 53) || i < -((lua_Integer)1 << 53))
      return false;
    *out = i;
    return true;
  }
#endif
  d = lua_tonumber(L, arg);
  if (!(d >= -9007199254740992.0 && d <= 9007199254740992.0) || floor(d) != d)
    return false;
  *out = (int64_t)d;
  return true;
}

/* Whole numbers as Lua writes them without a fraction: integers in 5.4. */
static inline void lep_pushwhole(lua_State *L, int64_t n)
{
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, n);
#else
  lua_pushnumber(L, (lua_Number)n);
#endif
}

#endif
