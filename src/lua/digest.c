/* Digests, HMAC and comparing in constant time. */
#include "lep.h"

#include "../base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

struct hasher {
  struct ep_obj obj;
  struct ep_hasher h;
};

static enum ep_digest_alg check_alg(lua_State *L, int arg)
{
  size_t n;
  const char *name = luaL_optlstring(L, arg, "sha256", &n);
  if (lua_isnoneornil(L, arg))
    n = strlen(name);
  enum ep_digest_alg alg = ep_digest_alg(name, n);
  if (alg == EP_DIGEST_NONE)
    luaL_argerror(L, arg, "'sha256' or 'sha512' expected");
  return alg;
}

static int push_digest(lua_State *L, const struct ep_hasher *h)
{
  char text[EP_DIGEST_TEXT_MAX];
  struct ep_digest d;
  ep_hasher_digest(h, &d);
  ep_digest_format(&d, text);
  lua_pushstring(L, text);
  return 1;
}

/* core.digest(bytes[, alg]) -> "sha256:…" */
static int core_digest(lua_State *L)
{
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct ep_hasher h;
  struct ep_err err;
  if (ep_hasher_init(&h, check_alg(L, 2), &err) != EP_OK)
    return lep_fail(L, &err);
  ep_hasher_update(&h, s, n);
  return push_digest(L, &h);
}

static struct hasher *new_hasher(lua_State *L)
{
  struct lep_handle *handle = lep_new(L, LEP_HASHER);
  struct hasher *hasher = ep_obj_new(lep_host(L), EP_KIND_HASHER, sizeof *hasher, NULL);
  handle->obj = hasher;
  return hasher;
}

/* core.hasher([alg]) */
static int core_hasher(lua_State *L)
{
  enum ep_digest_alg alg = check_alg(L, 1);
  struct hasher *hasher = new_hasher(L);
  struct ep_err err;
  if (!hasher)
    (void)ep_fail_memory(&err);
  else if (ep_hasher_init(&hasher->h, alg, &err) == EP_OK)
    return 1;
  return lep_fail(L, &err);
}

/* core.hasher_from(state): goes on where another, also in another process, stopped */
static int core_hasher_from(lua_State *L)
{
  size_t n;
  const char *state = luaL_checklstring(L, 1, &n);
  struct hasher *hasher = new_hasher(L);
  struct ep_err err;
  if (!hasher)
    (void)ep_fail_memory(&err);
  else if (ep_hasher_restore(&hasher->h, (const unsigned char *)state, n, &err) == EP_OK)
    return 1;
  return lep_fail(L, &err);
}

static int hasher_update(lua_State *L)
{
  struct hasher *hasher = lep_check(L, 1, LEP_HASHER);
  size_t n;
  const char *s = luaL_checklstring(L, 2, &n);
  ep_hasher_update(&hasher->h, s, n);
  lua_settop(L, 1);
  return 1;
}

/* hasher:file(path[, offset[, length]]) -> bytes hashed, less than asked for at the end */
static int hasher_file(lua_State *L)
{
  struct hasher *hasher = lep_check(L, 1, LEP_HASHER);
  const char *path = lep_checkpath(L, 2);
  int64_t offset = lua_isnoneornil(L, 3) ? 0 : lep_checksize(L, 3);
  int64_t n = lua_isnoneornil(L, 4) ? INT64_MAX : lep_checksize(L, 4);
  struct ep_err err;
  if (ep_hasher_file(&hasher->h, path, offset, &n, &err) != EP_OK)
    return lep_fail(L, &err);
  lep_pushsize(L, n);
  return 1;
}

static int hasher_digest(lua_State *L)
{
  struct hasher *hasher = lep_check(L, 1, LEP_HASHER);
  return push_digest(L, &hasher->h);
}

static int hasher_state(lua_State *L)
{
  struct hasher *hasher = lep_check(L, 1, LEP_HASHER);
  unsigned char state[EP_HASHER_STATE_MAX];
  size_t n = ep_hasher_save(&hasher->h, state);
  lua_pushlstring(L, (const char *)state, n);
  return 1;
}

/* core.hmac(key, bytes[, alg]) -> the raw bytes, which can be the next key */
static int core_hmac(lua_State *L)
{
  size_t key_n, n;
  const char *key = luaL_checklstring(L, 1, &key_n);
  const char *s = luaL_checklstring(L, 2, &n);
  enum ep_digest_alg alg = check_alg(L, 3);
  const EVP_MD *md = alg == EP_DIGEST_SHA256 ? EVP_sha256() : EVP_sha512();
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned out_n = 0;
  struct ep_err err;
  if (key_n > INT32_MAX ||
      !HMAC(md, key, (int)key_n, (const unsigned char *)s, n, out, &out_n)) {
    (void)ep_fail(&err, "io", "OpenSSL would not compute an HMAC");
    return lep_fail(L, &err);
  }
  lua_pushlstring(L, (const char *)out, out_n);
  return 1;
}

/* core.equal(a, b): takes as long for a near miss as for a far one */
static int core_equal(lua_State *L)
{
  size_t a_n, b_n;
  const char *a = luaL_checklstring(L, 1, &a_n);
  const char *b = luaL_checklstring(L, 2, &b_n);
  lua_pushboolean(L, a_n == b_n && CRYPTO_memcmp(a, b, a_n) == 0);
  return 1;
}

/* core.parse_digest(text) -> alg, hex | nil: nothing else may become a path or a key */
static int core_parse_digest(lua_State *L)
{
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct ep_digest d;
  if (!ep_digest_parse(&d, s, n)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, ep_digest_name(d.alg));
  lua_pushlstring(L, strchr(s, ':') + 1, 2 * ep_digest_size(d.alg));
  return 2;
}

static const luaL_Reg methods[] = {
    {"update", hasher_update}, {"file", hasher_file}, {"digest", hasher_digest},
    {"state", hasher_state},   {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"digest", core_digest},
    {"hasher", core_hasher},
    {"hasher_from", core_hasher_from},
    {"hmac", core_hmac},
    {"equal", core_equal},
    {"parse_digest", core_parse_digest},
    {NULL, NULL},
};

void lep_open_digest(lua_State *L)
{
  lep_class(L, LEP_HASHER, methods);
  lep_setfuncs(L, functions);
}
