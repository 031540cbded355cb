/* Core objects as userdata: born empty, checked twice, closed once; and how calls answer. */
#include "lep.h"

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

void lep_pushextents(lua_State *L, const struct ep_extent *extents, size_t n)
{
  size_t i;
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    lua_createtable(L, 0, 2);
    lep_pushsize(L, extents[i].offset);
    lua_setfield(L, -2, "offset");
    lep_pushsize(L, extents[i].length);
    lua_setfield(L, -2, "length");
    lua_rawseti(L, -2, (int)i + 1);
  }
}

int lep_not_ok(lua_State *L, enum ep_status st, const struct ep_err *err)
{
  if (st == EP_AGAIN)
    return lep_again(L);
  if (st != EP_EOF)
    return lep_fail(L, err);
  lua_pushboolean(L, 0);
  return 1;
}

int lep_done(lua_State *L, enum ep_status st, const struct ep_err *err)
{
  if (st != EP_OK)
    return lep_not_ok(L, st, err);
  lua_pushboolean(L, 1);
  return 1;
}

int lep_givesource(lua_State *L, struct lep_handle *h, struct ep_source *s,
                   const struct ep_err *err)
{
  if (!s)
    return lep_fail(L, err);
  lep_setsource(h, s);
  return 1;
}

int lep_givesink(lua_State *L, struct lep_handle *h, struct ep_sink *s,
                 const struct ep_err *err)
{
  if (!s)
    return lep_fail(L, err);
  lep_setsink(h, s);
  return 1;
}

const struct ep_err *lep_nomemory(struct ep_err *err)
{
  (void)ep_fail_memory(err);
  return err;
}
