/* epoch.core.http, a part of the core: loop:request{…} and what comes of it; core.resolve
** and core.origin. */
#include "lep.h"

#include "../http/http.h"

#include <string.h>

/* Text that may have come from a server: a NUL byte in it is the world's fault, not the
** caller's. Borrowed from the Lua value. */
static const char *text_at(lua_State *L, int i, bool *clean)
{
  size_t n;
  const char *s = lua_tolstring(L, i, &n);
  if (memchr(s, 0, n))
    *clean = false;
  return s;
}

static const char *text_option(lua_State *L, int t, const char *key, bool *clean)
{
  const char *s = NULL;
  lua_pushstring(L, key);
  lua_rawget(L, t);
  if (lua_type(L, -1) == LUA_TSTRING)
    s = text_at(L, -1, clean);
  else if (!lua_isnil(L, -1))
    luaL_error(L, "option '%s' must be a string", key);
  lua_pop(L, 1); /* the table keeps it */
  return s;
}

/* ---- headers: {name = value, …}, {{name, value}, …} or both ---- */

static const char *header_text(lua_State *L, int i, bool *clean)
{
  if (lua_type(L, i) != LUA_TSTRING)
    luaL_error(L, "option 'headers' must hold names and values that are strings");
  return text_at(L, i, clean);
}

static size_t count_headers(lua_State *L, int t)
{
  size_t n = 0;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    n++;
    lua_pop(L, 1);
  }
  return n;
}

/* Pushes a box with the array, so that it goes when Lua raises. The strings stay the
** table's. */
static void read_headers(lua_State *L, int t, struct ep_request_spec *spec, bool *clean)
{
  struct ep_http_header *v = lep_newuserdata(L, (count_headers(L, t) + 1) * sizeof *v);
  int i, listed = (int)lep_rawlen(L, t);
  size_t n = 0;
  for (i = 1; i <= listed; i++) {
    lua_rawgeti(L, t, i);
    if (!lua_istable(L, -1))
      luaL_error(L, "option 'headers' must hold pairs {name, value}");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    v[n].name = header_text(L, -2, clean);
    v[n++].value = header_text(L, -1, clean);
    lua_pop(L, 3);
  }
  lua_pushnil(L);
  while (lua_next(L, t)) {
    if (lua_type(L, -2) != LUA_TNUMBER) {
      v[n].name = header_text(L, -2, clean);
      v[n++].value = header_text(L, -1, clean);
    }
    lua_pop(L, 1);
  }
  spec->headers = v;
  spec->headers_n = n;
}

/* ---- loop:request ---- */

static const char *const known[] = {"method",
                                    "url",
                                    "headers",
                                    "authorization",
                                    "body",
                                    "ca_file",
                                    "client_cert",
                                    "client_key",
                                    "proxy",
                                    "redirects",
                                    "connect_timeout",
                                    "header_timeout",
                                    "low_speed_limit",
                                    "low_speed_time",
                                    "http_version",
                                    "user_agent",
                                    "any_encoding",
                                    NULL};

static void read_version(lua_State *L, int t, struct ep_request_spec *spec)
{
  const char *v = lep_optstring(L, t, "http_version", NULL);
  if (!v)
    return;
  if (strcmp(v, "1.1") == 0)
    spec->version = EP_HTTP_1_1;
  else if (strcmp(v, "2") == 0)
    spec->version = EP_HTTP_2;
  else
    luaL_error(L, "option 'http_version' must be \"1.1\" or \"2\"");
}

static void read_limits(lua_State *L, int t, struct ep_request_spec *spec)
{
  enum { REDIRECTS_MAX = 20 };
  int64_t redirects = lep_optsize(L, t, "redirects", -1);
  if (redirects > REDIRECTS_MAX)
    luaL_error(L, "option 'redirects' must be at most %d", (int)REDIRECTS_MAX);
  spec->redirects = (int)redirects;
  spec->connect_timeout = lep_optms(L, t, "connect_timeout", spec->connect_timeout);
  spec->header_timeout = lep_optms(L, t, "header_timeout", spec->header_timeout);
  spec->low_speed_limit = lep_optsize(L, t, "low_speed_limit", spec->low_speed_limit);
  spec->low_speed_time = lep_optms(L, t, "low_speed_time", spec->low_speed_time);
}

/* Leaves one value on the stack: what keeps the body until the request does. */
static bool read_body(lua_State *L, int t, struct ep_request_spec *spec)
{
  struct lep_handle *h;
  struct ep_source *s;
  const char *bytes;
  size_t n;
  lua_pushliteral(L, "body");
  lua_rawget(L, t);
  if (lua_type(L, -1) != LUA_TSTRING) {
    spec->body = lep_optsource(L, t, "body");
    return true;
  }
  bytes = lua_tolstring(L, -1, &n);
  h = lep_new(L, LEP_SOURCE);
  s = ep_source_bytes(lep_host(L), bytes, n);
  if (!s)
    return false;
  lep_setsource(h, s);
  spec->body = s;
  return true;
}

static void close_request(void *obj)
{
  ep_request_close(obj);
}

static int loop_request(lua_State *L)
{
  struct ep_loop *loop = lep_check(L, 1, LEP_LOOP);
  int t = lep_options(L, 2, false, known);
  struct ep_request_spec spec;
  struct lep_handle *h;
  struct ep_err err;
  bool clean = true;
  ep_request_defaults(&spec);
  spec.url = text_option(L, t, "url", &clean);
  if (!spec.url)
    return luaL_error(L, "option 'url' is missing");
  spec.method = lep_optstring(L, t, "method", spec.method);
  spec.authorization = text_option(L, t, "authorization", &clean);
  spec.ca_file = lep_optstring(L, t, "ca_file", NULL);
  spec.client_cert = lep_optstring(L, t, "client_cert", NULL);
  spec.client_key = lep_optstring(L, t, "client_key", NULL);
  spec.proxy = lep_optstring(L, t, "proxy", NULL);
  spec.user_agent = lep_optstring(L, t, "user_agent", NULL);
  spec.any_encoding = lep_optbool(L, t, "any_encoding", false);
  read_version(L, t, &spec);
  read_limits(L, t, &spec);
  lua_pushliteral(L, "headers");
  lua_rawget(L, t);
  if (lua_istable(L, -1))
    read_headers(L, lua_gettop(L), &spec, &clean);
  else if (!lua_isnil(L, -1))
    return luaL_error(L, "option 'headers' must be a table");
  if (!clean) {
    (void)ep_fail(&err, "invalid", "a NUL byte in what is to be asked for");
    return lep_fail(L, &err);
  }
  if (!read_body(L, t, &spec)) {
    (void)ep_fail_memory(&err);
    return lep_fail(L, &err);
  }
  h = lep_new(L, LEP_REQUEST);
  h->obj = ep_request_start(loop, &spec, &err);
  h->close = close_request;
  return h->obj ? 1 : lep_fail(L, &err);
}

/* ---- the request ---- */

static int request_response(lua_State *L)
{
  struct ep_request *req = lep_check(L, 1, LEP_REQUEST);
  struct ep_response r;
  struct ep_err err;
  size_t i;
  enum ep_status st = ep_request_response(req, &r, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lua_createtable(L, 0, 5);
  lep_pushsize(L, r.status);
  lua_setfield(L, -2, "status");
  lep_pushsize(L, r.redirects);
  lua_setfield(L, -2, "redirects");
  lua_pushstring(L, r.url);
  lua_setfield(L, -2, "url");
  lua_pushstring(L, r.version);
  lua_setfield(L, -2, "http_version");
  lua_createtable(L, (int)r.headers_n, 0);
  for (i = 0; i < r.headers_n; i++) {
    lua_createtable(L, 2, 0);
    lua_pushstring(L, r.headers[i].name);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, r.headers[i].value);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "headers");
  return 1;
}

static int request_header(lua_State *L)
{
  struct ep_request *req = lep_check(L, 1, LEP_REQUEST);
  lua_pushstring(L, ep_request_header(req, luaL_checkstring(L, 2))); /* NULL: nil */
  return 1;
}

static int request_body(lua_State *L)
{
  struct ep_request *req = lep_check(L, 1, LEP_REQUEST);
  struct lep_handle *h;
  struct ep_source *body;
  struct ep_err err;
  if (ep_request_body_taken(req))
    return luaL_error(L, "the body of this request was taken before");
  h = lep_new(L, LEP_SOURCE);
  body = ep_request_body(req, &err);
  if (!body)
    return lep_fail(L, &err);
  lep_setsource(h, body);
  return 1;
}

static int request_sent(lua_State *L)
{
  lep_pushsize(L, ep_request_sent(lep_check(L, 1, LEP_REQUEST)));
  return 1;
}

static int request_received(lua_State *L)
{
  lep_pushsize(L, ep_request_received(lep_check(L, 1, LEP_REQUEST)));
  return 1;
}

/* ---- addresses ---- */

static const char *check_url(lua_State *L, int arg, bool *clean)
{
  (void)luaL_checkstring(L, arg);
  return text_at(L, arg, clean);
}

static int push_url(lua_State *L, enum ep_status st, const char *text,
                    const struct ep_err *err)
{
  if (st != EP_OK)
    return lep_fail(L, err);
  lua_pushstring(L, text);
  return 1;
}

static int nul_in_url(lua_State *L)
{
  struct ep_err err;
  (void)ep_fail(&err, "invalid", "a NUL byte in a URL");
  return lep_fail(L, &err);
}

/* core.resolve(base, ref) -> url | nil, message, "invalid" */
static int core_resolve(lua_State *L)
{
  struct ep_err err;
  bool clean = true;
  const char *base = check_url(L, 1, &clean);
  const char *ref = check_url(L, 2, &clean);
  char *out = lep_newuserdata(L, EP_HTTP_URL_MAX + 1);
  if (!clean)
    return nul_in_url(L);
  return push_url(L, ep_http_resolve(base, ref, out, &err), out, &err);
}

/* core.origin(url) -> "scheme://host:port" | nil, message, "invalid" */
static int core_origin(lua_State *L)
{
  struct ep_err err;
  bool clean = true;
  const char *url = check_url(L, 1, &clean);
  char *out = lep_newuserdata(L, EP_HTTP_URL_MAX + 1);
  if (!clean)
    return nul_in_url(L);
  return push_url(L, ep_http_origin(url, out, &err), out, &err);
}

static const luaL_Reg request_methods[] = {
    {"response", request_response}, {"header", request_header},
    {"body", request_body},         {"sent", request_sent},
    {"received", request_received}, {NULL, NULL}};

static int http_version(lua_State *L)
{
  lua_pushstring(L, ep_http_version());
  return 1;
}

static const luaL_Reg functions[] = {{"request", loop_request},
                                     {"resolve", core_resolve},
                                     {"origin", core_origin},
                                     {"version", http_version},
                                     {NULL, NULL}};

#pragma GCC visibility push(default)
int luaopen_epoch_core_http(lua_State *L);
#pragma GCC visibility pop

int luaopen_epoch_core_http(lua_State *L)
{
  lep_pin(functions);
  lep_class(L, LEP_REQUEST, request_methods);
  lua_newtable(L);
  lep_setfuncs(L, functions);
  return 1;
}
