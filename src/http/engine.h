/* The engine of a loop: one curl multi handle, its sockets and its timer. */
#ifndef EP_HTTP_ENGINE_H
#define EP_HTTP_ENGINE_H

#include "../base/io.h"
#include "../base/loop.h"

#include <curl/curl.h>

#pragma GCC visibility push(hidden)

struct ep_request;
struct ep_http_socket;

struct ep_http {
  struct ep_obj obj;
  struct ep_loop
      *loop; /* borrowed: the loop closes the engine first; NULL from then on */
  CURLM *multi;
  struct ep_timer timer;
  struct ep_task task;            /* the timer's */
  struct ep_http_socket *sockets; /* watched ones */
  struct ep_request *running;     /* borrowed: each leaves the list before it ends */
  bool starved;                   /* a socket could not be watched: nothing can go on */
  struct ep_err starved_err;
};

/* The loop's engine, made when first asked for; the caller owns the reference. */
struct ep_http *ep_http_of(struct ep_loop *loop, struct ep_err *err) EP_MUST;

/* These may read and write sockets and call the transfer's callbacks, so none may be
** called from within curl. */
enum ep_status ep_http_add(struct ep_http *http, CURL *easy, struct ep_err *err) EP_MUST;
void ep_http_remove(struct ep_http *http, CURL *easy);
CURLcode ep_http_resume(CURL *easy, int still_paused) EP_MUST;

#pragma GCC visibility pop
#endif
