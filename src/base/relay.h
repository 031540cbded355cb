/* One source made of several that come one after another: when one breaks in the middle, its
** reader waits, and another one that goes on at that byte takes its place. Who feeds a relay
** decides where that one comes from, or gives up.
*/
#ifndef EP_RELAY_H
#define EP_RELAY_H

#include "io.h"

#pragma GCC visibility push(hidden)

struct ep_relay;

/* Adopts `first`. `total`: how many bytes there are altogether, or -1. */
struct ep_relay *ep_relay_new(struct ep_host *host, struct ep_source *first,
                              int64_t total) EP_MUST;
/* The end to read; to be asked for once. It retains the relay. */
struct ep_source *ep_relay_source(struct ep_relay *relay) EP_MUST;
bool ep_relay_source_taken(const struct ep_relay *relay);

/* EP_OK: the source broke after *at bytes, for the reason *why, and the reader waits.
** EP_AGAIN: nothing is broken. EP_EOF: over, nobody reads on. */
enum ep_status ep_relay_broken(const struct ep_relay *relay, int64_t *at,
                               struct ep_err *why) EP_MUST;
/* Goes on with `next`, which is adopted, after its first `skip` bytes. Only when broken. */
void ep_relay_feed(struct ep_relay *relay, struct ep_source *next, int64_t skip);
/* The reader's failure is *why. Only when broken. */
void ep_relay_fail(struct ep_relay *relay, const struct ep_err *why);
/* Nobody feeds it any more: what broke, or does later, is the reader's failure. */
void ep_relay_leave(struct ep_relay *relay);

#pragma GCC visibility pop
#endif
