/* Digests as OCI writes them ("sha256:<hex>"), and hashing that can be put aside.
**
** The state of a hasher can be stored and taken up by another process: an upload that two
** gateways receive in turns is hashed once. EVP cannot do that, so the low-level contexts
** are used, in this one file; HMAC and comparing go through OpenSSL's current interfaces.
*/
#ifndef EP_DIGEST_H
#define EP_DIGEST_H

#include "ep.h"

#pragma GCC visibility push(hidden)

enum ep_digest_alg { EP_DIGEST_NONE, EP_DIGEST_SHA256, EP_DIGEST_SHA512, EP_DIGEST_ALGS };

enum { EP_DIGEST_BYTES_MAX = 64, EP_DIGEST_TEXT_MAX = 7 + 128 + 1 };

struct ep_digest {
  enum ep_digest_alg alg;
  unsigned char bytes[EP_DIGEST_BYTES_MAX];
};

const char *ep_digest_name(enum ep_digest_alg alg);           /* "sha256", … */
enum ep_digest_alg ep_digest_alg(const char *name, size_t n); /* or NONE */
size_t ep_digest_size(enum ep_digest_alg alg);                /* in bytes */
/* Exactly "alg:lower-case hex of the right length"; false for anything else. */
bool ep_digest_parse(struct ep_digest *d, const char *text, size_t n);
void ep_digest_format(const struct ep_digest *d, char text[EP_DIGEST_TEXT_MAX]);
bool ep_digest_equal(const struct ep_digest *a, const struct ep_digest *b);

enum { EP_HASHER_WORDS = 32 };
struct ep_hasher {
  enum ep_digest_alg alg;
  uint64_t state[EP_HASHER_WORDS]; /* a SHA256_CTX or SHA512_CTX */
};
enum ep_status ep_hasher_init(struct ep_hasher *h, enum ep_digest_alg alg,
                              struct ep_err *err) EP_MUST;
void ep_hasher_update(struct ep_hasher *h, const void *p, size_t n);
void ep_hasher_digest(const struct ep_hasher *h, struct ep_digest *d); /* h can go on */
/* Up to `*n` bytes of a file from `offset` on; `*n` becomes how many there were. After a failure
** the hasher has seen an unknown part of them. Waits for the disk. */
enum ep_status ep_hasher_file(struct ep_hasher *h, const char *path, int64_t offset,
                              int64_t *n, struct ep_err *err) EP_MUST;

enum { EP_HASHER_STATE_MAX = 256 };
/* The state as bytes of a fixed layout, the same on every machine. */
size_t ep_hasher_save(const struct ep_hasher *h, unsigned char out[EP_HASHER_STATE_MAX]);
enum ep_status ep_hasher_restore(struct ep_hasher *h, const unsigned char *p, size_t n,
                                 struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
