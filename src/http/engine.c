/* curl's multi handle on an ep_loop. libcurl says which descriptors and which time it
** waits for; the loop calls back into libcurl when they come; what is over is handed to
** its request. Nothing here, and nothing that libcurl calls, can reach Lua.
*/
#include "engine.h"

#include "http.h"
#include "request.h"

#include <pthread.h>
#include <sys/epoll.h>

struct ep_http_socket {
  struct ep_watch watch;
  struct ep_http *http;
  struct ep_http_socket *prev, *next;
  unsigned events; /* EPOLLIN, EPOLLOUT */
};

enum { CONNECTIONS_MAX = 64 };

/* ---- once for the process ---- */

/* Never undone, and the library is never unmapped (its binding pins it): a name lookup that
** was abandoned lives on in a thread of libcurl's. */
static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
  (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* curl_multi_init fails after a failure */
}

const char *ep_http_version(void)
{
  return curl_version();
}

/* ---- what is over ---- */

static void fail_all(struct ep_http *http, const struct ep_err *why)
{
  while (http->running)
    ep_request_failed(http->running, why);
}

static void report(struct ep_http *http)
{
  CURLMsg *msg;
  int left;
  while ((msg = curl_multi_info_read(http->multi, &left)) != NULL) {
    struct ep_request *req = NULL;
    CURLcode rc = msg->data.result;
    if (msg->msg != CURLMSG_DONE)
      continue;
    (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &req);
    ep_request_over(req, rc);
  }
  if (http->starved) {
    http->starved = false;
    fail_all(http, &http->starved_err);
  }
}

static void act(struct ep_http *http, curl_socket_t fd, int bits)
{
  struct ep_sigpipe guard;
  struct ep_err err;
  CURLMcode rc;
  int running;
  ep_sigpipe_enter(&guard);
  rc = curl_multi_socket_action(http->multi, fd, bits, &running);
  ep_sigpipe_leave(&guard);
  report(http);
  if (rc == CURLM_OK)
    return;
  if (rc == CURLM_OUT_OF_MEMORY)
    (void)ep_fail_memory(&err);
  else
    (void)ep_fail(&err, "io", "the HTTP engine broke: %s", curl_multi_strerror(rc));
  fail_all(http, &err);
}

/* ---- what libcurl waits for ---- */

static void on_ready(struct ep_watch *watch, unsigned events)
{
  struct ep_http_socket *s =
      (struct ep_http_socket *)((char *)watch - offsetof(struct ep_http_socket, watch));
  int bits = 0;
  /* a broken connection shows in the read or write that libcurl waits for */
  if (events & (EPOLLERR | EPOLLHUP))
    events |= s->events;
  if (events & EPOLLIN)
    bits |= CURL_CSELECT_IN;
  if (events & EPOLLOUT)
    bits |= CURL_CSELECT_OUT;
  act(s->http, watch->fd, bits); /* may free s */
}

static void socket_free(struct ep_http_socket *s)
{
  struct ep_http *http = s->http;
  ep_loop_unwatch(http->loop, &s->watch);
  if (s->next)
    s->next->prev = s->prev;
  if (s->prev)
    s->prev->next = s->next;
  else
    http->sockets = s->next;
  ep_free(s);
}

static struct ep_http_socket *socket_new(struct ep_http *http, curl_socket_t fd)
{
  struct ep_http_socket *s = ep_alloc(sizeof *s);
  if (!s) {
    (void)ep_fail_memory(&http->starved_err);
    return NULL;
  }
  s->http = http;
  s->next = http->sockets;
  if (s->next)
    s->next->prev = s;
  http->sockets = s;
  (void)curl_multi_assign(http->multi, fd, s);
  return s;
}

/* Always answers 0: an error would end the whole multi handle for good. A socket that
** cannot be watched fails what runs, a moment later and from outside libcurl. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *assigned)
{
  struct ep_http *http = user;
  struct ep_http_socket *s = assigned;
  (void)easy;
  if (what == CURL_POLL_REMOVE || what == CURL_POLL_NONE) {
    if (s) {
      socket_free(s);
      (void)curl_multi_assign(http->multi, fd, NULL);
    }
    return 0;
  }
  if (!s)
    s = socket_new(http, fd);
  if (s) {
    s->events =
        (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    if (ep_loop_watch(http->loop, &s->watch, fd, s->events, on_ready,
                      &http->starved_err) == EP_OK)
      return 0;
  }
  http->starved = true;
  ep_loop_ready(http->loop, &http->task);
  return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
  struct ep_http *http = user;
  (void)multi;
  if (ms < 0)
    ep_loop_untimer(http->loop, &http->timer);
  else
    ep_loop_timer(http->loop, &http->timer, ep_now_ms() + ms, &http->task);
  return 0;
}

static void on_time(struct ep_task *task, size_t budget)
{
  struct ep_http *http =
      (struct ep_http *)((char *)task - offsetof(struct ep_http, task));
  (void)budget;
  act(http, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- for the requests ---- */

enum ep_status ep_http_add(struct ep_http *http, CURL *easy, struct ep_err *err)
{
  struct ep_sigpipe guard;
  CURLMcode rc;
  ep_sigpipe_enter(&guard);
  rc = curl_multi_add_handle(http->multi, easy);
  ep_sigpipe_leave(&guard);
  if (rc == CURLM_OK)
    return EP_OK;
  if (rc == CURLM_OUT_OF_MEMORY)
    return ep_fail_memory(err);
  return ep_fail(err, "io", "starting a transfer: %s", curl_multi_strerror(rc));
}

void ep_http_remove(struct ep_http *http, CURL *easy)
{
  struct ep_sigpipe guard;
  ep_sigpipe_enter(&guard);
  (void)curl_multi_remove_handle(http->multi, easy);
  ep_sigpipe_leave(&guard);
}

CURLcode ep_http_resume(CURL *easy, int still_paused)
{
  struct ep_sigpipe guard;
  CURLcode rc;
  ep_sigpipe_enter(&guard);
  rc = curl_easy_pause(easy, still_paused);
  ep_sigpipe_leave(&guard);
  return rc;
}

/* ---- life ---- */

static void http_close(struct ep_loop *loop, void *thing)
{
  struct ep_http *http = thing;
  struct ep_err err;
  struct ep_sigpipe guard;
  (void)ep_fail(&err, "cancelled", "the loop was closed");
  fail_all(http, &err);
  ep_sigpipe_enter(&guard);
  (void)curl_multi_cleanup(http->multi);
  ep_sigpipe_leave(&guard);
  http->multi = NULL;
  while (http->sockets)
    socket_free(http->sockets);
  ep_loop_untimer(loop, &http->timer);
  ep_loop_forget(loop, &http->task);
  http->loop = NULL;
  ep_release(http);
}

static CURLM *multi_new(struct ep_http *http)
{
  CURLM *multi = curl_multi_init();
  CURLMcode rc;
  if (!multi)
    return NULL;
  rc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  rc = rc ? rc : curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
  rc = rc ? rc : curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  rc = rc ? rc : curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
  rc = rc ? rc : curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  rc = rc ? rc : curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
  if (rc == CURLM_OK)
    return multi;
  (void)curl_multi_cleanup(multi);
  return NULL;
}

struct ep_http *ep_http_of(struct ep_loop *loop, struct ep_err *err)
{
  struct ep_http *http = ep_loop_attached(loop);
  if (http)
    return ep_retain(http);
  (void)pthread_once(&global_once, global_init);
  http = ep_obj_new(ep_loop_host(loop), EP_KIND_HTTP, sizeof *http, NULL);
  if (!http) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  http->loop = loop;
  http->task.run = on_time;
  http->multi = multi_new(http);
  if (!http->multi) {
    (void)ep_fail_memory(err);
    ep_release(http);
    return NULL;
  }
  ep_loop_attach(loop, http, http_close);
  return ep_retain(http);
}
