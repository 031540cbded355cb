/* sha256 and sha512 by OpenSSL: names, text, and states that can be stored. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the low-level contexts, see digest.h */
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

union context {
  SHA256_CTX sha256;
  SHA512_CTX sha512;
};
_Static_assert(sizeof(union context) <= sizeof((struct ep_hasher *)0)->state,
               "an OpenSSL context fits into a hasher");

static const struct {
  const char *name;
  size_t size, block;
} algs[EP_DIGEST_ALGS] = {
    [EP_DIGEST_NONE] = {"", 0, 0},
    [EP_DIGEST_SHA256] = {"sha256", 32, 64},
    [EP_DIGEST_SHA512] = {"sha512", 64, 128},
};

const char *ep_digest_name(enum ep_digest_alg alg)
{
  return algs[alg].name;
}

enum ep_digest_alg ep_digest_alg(const char *name, size_t n)
{
  unsigned i;
  for (i = EP_DIGEST_NONE + 1; i < EP_DIGEST_ALGS; i++)
    if (strlen(algs[i].name) == n && memcmp(algs[i].name, name, n) == 0)
      return (enum ep_digest_alg)i;
  return EP_DIGEST_NONE;
}

size_t ep_digest_size(enum ep_digest_alg alg)
{
  return algs[alg].size;
}

static int hex_value(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1; /* upper case is no digest */
}

bool ep_digest_parse(struct ep_digest *d, const char *text, size_t n)
{
  const char *colon = memchr(text, ':', n);
  size_t i, size;
  memset(d, 0, sizeof *d);
  if (!colon)
    return false;
  enum ep_digest_alg alg = ep_digest_alg(text, (size_t)(colon - text));
  const char *hex = colon + 1;
  size = algs[alg].size;
  if (alg == EP_DIGEST_NONE || (size_t)(text + n - hex) != 2 * size)
    return false;
  for (i = 0; i < size; i++) {
    int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);
    if (hi < 0 || lo < 0)
      return false;
    d->bytes[i] = (unsigned char)(hi * 16 + lo);
  }
  d->alg = alg;
  return true;
}

void ep_digest_format(const struct ep_digest *d, char text[EP_DIGEST_TEXT_MAX])
{
  static const char digits[] = "0123456789abcdef";
  size_t n = strlen(algs[d->alg].name);
  size_t i;
  memcpy(text, algs[d->alg].name, n);
  text[n++] = ':';
  for (i = 0; i < algs[d->alg].size; i++) {
    text[n++] = digits[d->bytes[i] >> 4];
    text[n++] = digits[d->bytes[i] & 15];
  }
  text[n] = '\0';
}

bool ep_digest_equal(const struct ep_digest *a, const struct ep_digest *b)
{
  return a->alg == b->alg && CRYPTO_memcmp(a->bytes, b->bytes, algs[a->alg].size) == 0;
}

enum ep_status ep_hasher_init(struct ep_hasher *h, enum ep_digest_alg alg,
                              struct ep_err *err)
{
  int ok = 0;
  memset(h, 0, sizeof *h);
  h->alg = alg;
  if (alg == EP_DIGEST_SHA256)
    ok = SHA256_Init((SHA256_CTX *)h->state);
  else if (alg == EP_DIGEST_SHA512)
    ok = SHA512_Init((SHA512_CTX *)h->state);
  if (!ok)
    return ep_fail(err, "unsupported", "no such digest algorithm");
  return EP_OK;
}

void ep_hasher_update(struct ep_hasher *h, const void *p, size_t n)
{
  /* both answer 1, always: they neither allocate nor check */
  if (h->alg == EP_DIGEST_SHA256)
    (void)SHA256_Update((SHA256_CTX *)h->state, p, n);
  else
    (void)SHA512_Update((SHA512_CTX *)h->state, p, n);
}

void ep_hasher_digest(const struct ep_hasher *h, struct ep_digest *d)
{
  struct ep_hasher copy = *h;
  memset(d, 0, sizeof *d);
  d->alg = h->alg;
  if (h->alg == EP_DIGEST_SHA256)
    (void)SHA256_Final(d->bytes, (SHA256_CTX *)copy.state);
  else
    (void)SHA512_Final(d->bytes, (SHA512_CTX *)copy.state);
}

/* The stored form: 1 byte version, 1 byte algorithm, the eight chaining words, the number
** of bytes so far (8 bytes), then the bytes that do not fill a block yet. Big-endian, so
** that gateways of different machines can hand an upload to each other. */
enum { STATE_VERSION = 1 };

static unsigned char *put(unsigned char *out, uint64_t v, size_t bytes)
{
  while (bytes-- > 0)
    *out++ = (unsigned char)(v >> (8 * bytes));
  return out;
}

static uint64_t get(const unsigned char **in, size_t bytes)
{
  uint64_t v = 0;
  while (bytes-- > 0)
    v = v << 8 | *(*in)++;
  return v;
}

size_t ep_hasher_save(const struct ep_hasher *h, unsigned char out[EP_HASHER_STATE_MAX])
{
  unsigned char *p = out;
  uint64_t bits;
  size_t i, rest;
  *p++ = STATE_VERSION;
  *p++ = (unsigned char)h->alg;
  if (h->alg == EP_DIGEST_SHA256) {
    const SHA256_CTX *c = (const SHA256_CTX *)h->state;
    for (i = 0; i < 8; i++)
      p = put(p, c->h[i], 4);
    bits = (uint64_t)c->Nh << 32 | c->Nl;
    rest = c->num;
    p = put(p, bits / 8, 8);
    memcpy(p, c->data, rest);
  } else {
    const SHA512_CTX *c = (const SHA512_CTX *)h->state;
    for (i = 0; i < 8; i++)
      p = put(p, c->h[i], 8);
    bits = c->Nl; /* Nh counts beyond 2^64 bits: no size here gets there */
    rest = c->num;
    p = put(p, bits / 8, 8);
    memcpy(p, c->u.p, rest);
  }
  return (size_t)(p + rest - out);
}

enum ep_status ep_hasher_restore(struct ep_hasher *h, const unsigned char *p, size_t n,
                                 struct ep_err *err)
{
  static const char broken[] = "this is not a stored hash state";
  uint64_t bytes, words[8];
  size_t i, word, rest;
  if (n < 2 || p[0] != STATE_VERSION || p[1] <= EP_DIGEST_NONE || p[1] >= EP_DIGEST_ALGS)
    return ep_fail(err, "invalid", "%s", broken);
  enum ep_digest_alg alg = (enum ep_digest_alg)p[1];
  word = algs[alg].size / 8;
  if (n < 2 + 8 * word + 8)
    return ep_fail(err, "invalid", "%s", broken);
  if (ep_hasher_init(h, alg, err) != EP_OK)
    return EP_ERR;
  const unsigned char *at = p + 2;
  for (i = 0; i < 8; i++)
    words[i] = get(&at, word);
  bytes = get(&at, 8);
  rest = (size_t)(p + n - at);
  if (bytes > (uint64_t)EP_SIZE_MAX || rest != bytes % algs[alg].block)
    return ep_fail(err, "invalid", "%s", broken);
  if (alg == EP_DIGEST_SHA256) {
    SHA256_CTX *c = (SHA256_CTX *)h->state;
    for (i = 0; i < 8; i++)
      c->h[i] = (SHA_LONG)words[i];
    c->Nl = (SHA_LONG)(bytes * 8);
    c->Nh = (SHA_LONG)((bytes * 8) >> 32);
    c->num = (unsigned)rest;
    memcpy(c->data, at, rest);
  } else {
    SHA512_CTX *c = (SHA512_CTX *)h->state;
    for (i = 0; i < 8; i++)
      c->h[i] = words[i];
    c->Nl = bytes * 8;
    c->num = (unsigned)rest;
    memcpy(c->u.p, at, rest);
  }
  return EP_OK;
}
