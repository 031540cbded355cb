#include "options.h"

#include <stdio.h>

void lep_optgauge(lua_State *L, int t, struct ep_gauge *gauge)
{
  const char *digest = lep_optstring(L, t, "digest", NULL);
  memset(gauge, 0, sizeof *gauge);
  gauge->size = lep_optsize(L, t, "size", -1);
  gauge->limit = lep_optsize(L, t, "limit", -1);
  (void)snprintf(gauge->what, sizeof gauge->what, "%s",
                 lep_optstring(L, t, "what", "the stream"));
  if (digest && !ep_digest_parse(&gauge->expect, digest, strlen(digest)))
    luaL_argerror(L, t,
                  "option 'digest': sha256: and 64, or sha512: and 128 lower-case "
                  "hexadecimal digits expected");
}

static unsigned alg_bit(lua_State *L, int t, const char *key)
{
  size_t n = 0;
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
  enum ep_digest_alg alg = ep_digest_alg(name, n);
  if (alg == EP_DIGEST_NONE)
    luaL_argerror(L, t,
                  lua_pushfstring(L, "option '%s': 'sha256' or 'sha512' expected", key));
  return 1u << alg;
}

unsigned lep_optalgs(lua_State *L, int t, const char *key)
{
  unsigned bits = 0;
  lua_getfield(L, t, key);
  if (lua_type(L, -1) == LUA_TTABLE) {
    int i, n = (int)lep_rawlen(L, -1);
    for (i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      bits |= alg_bit(L, t, key);
      lua_pop(L, 1);
    }
  } else if (lua_isboolean(L, -1)) {
    bits = lua_toboolean(L, -1) ? 1u << EP_DIGEST_SHA256 : 0;
  } else if (!lua_isnil(L, -1)) {
    bits = alg_bit(L, t, key);
  }
  lua_pop(L, 1);
  return bits;
}
