/* Flows, lanes and pool threads without Lua, for ThreadSanitizer: many at once, ended and
** abandoned at every moment. */
#include "../../src/base/file.h"
#include "../../src/base/flow.h"
#include "../../src/base/loop.h"
#include "../../src/base/tap.h"
#include "../../src/base/unwrap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BYTES = 700000, FLOWS = 8, ROUNDS = 12 };

static void check(bool good, const char *what)
{
  if (good)
    return;
  printf("not ok - %s\n", what);
  exit(1);
}

struct pair {
  struct ep_flow *feed, *take;
};

static struct ep_flow *start(struct ep_loop *loop, struct ep_source *source,
                             struct ep_sink *sink, bool hash)
{
  struct ep_err err;
  struct ep_flow_spec spec = {.source = source,
                              .sink = sink,
                              .gauge = {.size = -1, .limit = -1, .what = "bytes"},
                              .algs = hash ? 1u << EP_DIGEST_SHA256 : 0};
  struct ep_flow *flow = ep_flow_start(loop, &spec, &err);
  check(flow != NULL, "a flow starts");
  ep_release(source);
  ep_release(sink);
  return flow;
}

/* From memory through a pipe, to a packed spool, hashed beside it. */
static struct pair through_a_pipe(struct ep_host *host, struct ep_loop *loop,
                                  const unsigned char *bytes, struct ep_spool *spool)
{
  struct ep_err err;
  struct pair p;
  int fds[2];
  check(pipe2(fds, O_CLOEXEC) == 0, "a pipe");
  struct ep_sink *sink = ep_spool_sink(spool);
  struct ep_sink *pack = ep_zstd_compress(host, 1, sink, &err);
  ep_release(sink);
  p.feed = start(loop, ep_source_bytes(host, bytes, BYTES),
                 ep_sink_fd(host, fds[1], true, &err), false);
  p.take = start(loop, ep_source_fd(host, fds[0], true, &err), pack, true);
  return p;
}

static void finish(struct ep_loop *loop, struct ep_flow *flow, struct ep_flow_result *r)
{
  struct ep_err err;
  enum ep_status st;
  while ((st = ep_flow_result(flow, r, &err)) == EP_AGAIN)
    check(ep_loop_poll(loop, 10000, &err) == EP_OK, "the loop polls");
  check(st == EP_OK, "the flow succeeds");
}

static void one_round(int round, const unsigned char *bytes, const struct ep_digest *want)
{
  struct ep_err err;
  struct ep_host *host = ep_host_new();
  struct ep_loop *loop = ep_loop_new(host, 1 + round % 4, &err);
  struct pair pairs[FLOWS];
  struct ep_spool *spools[FLOWS];
  struct ep_flow_result r;
  int i, steps;
  for (i = 0; i < FLOWS; i++) {
    spools[i] = ep_spool_new(host, "/tmp", i % 2 ? 0 : 2 * BYTES, -1, &err);
    pairs[i] = through_a_pipe(host, loop, bytes, spools[i]);
  }
  for (steps = 0; steps < round; steps++)
    check(ep_loop_poll(loop, 1, &err) == EP_OK, "the loop polls");
  for (i = 0; i < FLOWS; i++) {
    if ((i + round) % 3 == 0) { /* abandoned, wherever it is */
      ep_release(pairs[i].take);
      ep_release(pairs[i].feed);
      continue;
    }
    finish(loop, pairs[i].take, &r);
    check(ep_digest_equal(want, &r.digests[EP_DIGEST_SHA256]), "the digest is right");
    struct ep_source *packed = ep_spool_source(spools[i], 0, -1, &err);
    struct ep_source *plain = ep_unwrap_new(host, packed, &err);
    ep_release(packed);
    struct ep_flow *back = start(loop, plain, NULL, true);
    if ((i + round) % 5 != 0) {
      finish(loop, back, &r);
      check(ep_digest_equal(want, &r.digests[EP_DIGEST_SHA256]),
            "it comes back the same");
    }
    ep_release(back);
    ep_release(pairs[i].take);
    ep_release(pairs[i].feed);
  }
  for (i = 0; i < FLOWS; i++)
    ep_release(spools[i]);
  ep_loop_close(loop);
  ep_release(loop);
  for (i = 0; i < EP_KINDS; i++)
    check(atomic_load(&host->live[i]) == 0, ep_kind_names[i]);
  ep_host_release(host);
}

int main(void)
{
  unsigned char *bytes = malloc(BYTES);
  struct ep_hasher h;
  struct ep_digest want;
  struct ep_err err;
  int i;
  check(bytes && ep_hasher_init(&h, EP_DIGEST_SHA256, &err) == EP_OK, "memory");
  for (i = 0; i < BYTES; i++)
    bytes[i] = (unsigned char)(i * 7 + i / 251);
  ep_hasher_update(&h, bytes, BYTES);
  ep_hasher_digest(&h, &want);
  for (i = 0; i < ROUNDS; i++)
    one_round(i, bytes, &want);
  free(bytes);
  printf("ok - %d rounds of %d flows\n", ROUNDS, FLOWS);
  return 0;
}
