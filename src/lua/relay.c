/* Relays for Lua: a source that goes on with another one where it broke. */
#include "lep.h"

#include "../base/relay.h"

static void close_relay(void *relay)
{
  ep_relay_leave(relay);
}

/* core.relay(source[, total]) */
static int core_relay(lua_State *L)
{
  struct ep_source *first = lep_checksource(L, 1);
  int64_t total = lua_isnoneornil(L, 2) ? -1 : lep_checksize(L, 2);
  struct lep_handle *h = lep_new(L, LEP_RELAY);
  struct ep_err err;
  h->close = close_relay;
  h->obj = ep_relay_new(lep_host(L), first, total);
  return h->obj ? 1 : lep_fail(L, lep_nomemory(&err));
}

static int relay_source(lua_State *L)
{
  struct ep_relay *relay = lep_check(L, 1, LEP_RELAY);
  struct lep_handle *h;
  struct ep_err err;
  if (ep_relay_source_taken(relay))
    luaL_argerror(L, 1, "the source of this relay is taken");
  h = lep_new(L, LEP_SOURCE);
  return lep_givesource(L, h, ep_relay_source(relay), lep_nomemory(&err));
}

/* relay:broken() -> bytes before, message, code | false when nobody reads on */
static int relay_broken(lua_State *L)
{
  struct ep_relay *relay = lep_check(L, 1, LEP_RELAY);
  struct ep_err err;
  int64_t at;
  enum ep_status st = ep_relay_broken(relay, &at, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lep_pushsize(L, at);
  lua_pushstring(L, err.text);
  lua_pushstring(L, err.code);
  return 3;
}

static bool is_broken(struct ep_relay *relay, struct ep_err *why)
{
  int64_t at;
  return ep_relay_broken(relay, &at, why) == EP_OK;
}

/* relay:feed(source[, skip]) */
static int relay_feed(lua_State *L)
{
  struct ep_relay *relay = lep_check(L, 1, LEP_RELAY);
  struct ep_source *next = lep_checksource(L, 2);
  int64_t skip = lua_isnoneornil(L, 3) ? 0 : lep_checksize(L, 3);
  struct ep_err why;
  if (!is_broken(relay, &why))
    luaL_argerror(L, 1, "this relay is not broken");
  ep_relay_feed(relay, next, skip);
  lua_pushboolean(L, 1);
  return 1;
}

/* The core's codes live for ever, and Lua's strings do not. */
static const char *static_code(const char *code, const char *otherwise)
{
  static const char *const codes[] = {
      "cancelled",    "denied",       "digest_mismatch", "invalid", "io",  "not_found",
      "refused",      "rate_limited", "size_mismatch",   "timeout", "tls", "truncated",
      "unauthorized", "unavailable",  "unsupported",     NULL};
  const char *const *c = codes;
  while (*c && strcmp(*c, code) != 0)
    c++;
  return *c ? *c : otherwise;
}

/* relay:fail(message, code) */
static int relay_fail(lua_State *L)
{
  struct ep_relay *relay = lep_check(L, 1, LEP_RELAY);
  const char *text = luaL_checkstring(L, 2);
  const char *code = luaL_checkstring(L, 3);
  struct ep_err why;
  if (!is_broken(relay, &why))
    luaL_argerror(L, 1, "this relay is not broken");
  (void)ep_fail(&why, static_code(code, why.code), "%s", text);
  ep_relay_fail(relay, &why);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
    {"source", relay_source},
    {"broken", relay_broken},
    {"feed", relay_feed},
    {"fail", relay_fail},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"relay", core_relay},
    {NULL, NULL},
};

void lep_open_relay(lua_State *L)
{
  lep_class(L, LEP_RELAY, methods);
  lep_setfuncs(L, functions);
}
