/* HTTP requests on a loop. This is the whole public face: no curl type in it.
**
** All requests of a loop share one engine, which the loop keeps (ep_loop_attach) and
** which ends with it: connections are kept open and used again, one request at a time on
** each, HTTP/2 ones too. (Of streams that share a connection, libcurl 7.88 takes up to 32
** MiB each into memory when they are paused, or holds up the others: layers that are
** delivered in order would wait for each other for ever.)
**
** A request starts at once and runs while the loop is stepped. It is over when the
** response and its body have arrived, when it failed, or when it was closed. There is no
** limit on its whole time; there are limits on connecting, on waiting for the answer, and
** on how slowly bytes may move while nobody here holds them up.
*/
#ifndef EP_HTTP_H
#define EP_HTTP_H

#include "../base/io.h"

#pragma GCC visibility push(hidden)

struct ep_loop;
struct ep_request;

struct ep_http_header {
  const char *name;
  const char *value;
};

enum ep_http_protocol { EP_HTTP_ANY, EP_HTTP_1_1, EP_HTTP_2 };

enum {
  EP_HTTP_URL_MAX = 16 * 1024,
  EP_HTTP_HEAD_MAX =
      64 * 1024, /* bytes of all header lines of one answer, 1xx included */
  EP_HTTP_HEADERS_MAX = 256,
  EP_HTTP_REDIRECT_BODY_MAX = 64 * 1024 /* read so that the connection can be kept */
};

/* What to ask for. All of it is copied, but for the body, which is adopted: the request
** closes it when it is over. A request that could not be started leaves it alone.
**
** `headers` must not say what the engine itself decides: Host, Content-Length,
** Transfer-Encoding, Expect, Connection and the like are refused. After a redirect to
** another origin only a short list of headers goes along (see redirect.c), and
** `authorization` never does.
**
** A body that can be rewound is rewound before it is sent, each time it is sent. */
struct ep_request_spec {
  const char *method;
  const char *url;
  const struct ep_http_header *headers;
  size_t headers_n;
  const char *authorization; /* value of the Authorization header */
  struct ep_source *body;    /* NULL: none */
  const char *ca_file;       /* PEM: roots to trust beside the system's */
  const char *client_cert, *client_key;
  const char *proxy; /* NULL: what the environment says; "": none */
  const char *user_agent;
  int redirects;           /* how many to follow; 0: a 3xx is an answer like others;
                           ** negative: 5 for GET and HEAD, else 0 */
  int64_t connect_timeout; /* milliseconds, of the name, the connection and TLS */
  int64_t header_timeout;  /* milliseconds from the request sent to the answer's begin */
  int64_t low_speed_limit; /* bytes a second; 0: no limit */
  int64_t low_speed_time;  /* milliseconds to take the average over */
  enum ep_http_protocol version;
  bool any_encoding; /* take a body with a Content-Encoding as it comes */
};
/* Fills in the limits: 15 s, 60 s, 1 KiB/s over 60 s, redirects as the method says. */
void ep_request_defaults(struct ep_request_spec *spec);

struct ep_response {
  int status;
  int redirects;                        /* how many were followed */
  const char *url;                      /* where the answer came from */
  const char *version;                  /* "1.0", "1.1", "2" */
  const struct ep_http_header *headers; /* names in lower case, in order */
  size_t headers_n;
};

/* Fails with "invalid" for what cannot be asked at all. The caller holds the reference.
 */
struct ep_request *ep_request_start(struct ep_loop *loop,
                                    const struct ep_request_spec *spec,
                                    struct ep_err *err) EP_MUST;
/* EP_AGAIN until the final answer's headers are here. What it points to is the request's
** and stays until it is closed. */
enum ep_status ep_request_response(const struct ep_request *req, struct ep_response *r,
                                   struct ep_err *err) EP_MUST;
/* First value of the answer's header `name` (in lower case), or NULL. */
const char *ep_request_header(const struct ep_request *req, const char *name);

/* The answer's body; to be asked for once. Its read fails with "truncated" when the body
** broke off, and never says EP_EOF then. Closing or releasing it before its end abandons
** the request. It retains the request. */
struct ep_source *ep_request_body(struct ep_request *req, struct ep_err *err) EP_MUST;
bool ep_request_body_taken(const struct ep_request *req);

int64_t ep_request_sent(const struct ep_request *req);     /* of the request's body */
int64_t ep_request_received(const struct ep_request *req); /* of the answer's body */

/* Abandons what still runs and frees the bytes received; idempotent. A connection
** whose answer was complete stays open for the next request. */
void ep_request_close(struct ep_request *req);

/* ---- addresses ---- */

/* `ref` as seen from `base` (a Location from a request's URL), without its fragment. Fails
** with "invalid" when it is not http(s), carries a user name or gets too long. */
enum ep_status ep_http_resolve(const char *base, const char *ref,
                               char out[EP_HTTP_URL_MAX + 1], struct ep_err *err) EP_MUST;
/* "scheme://host:port" in lower case and with the port filled in. */
enum ep_status ep_http_origin(const char *url, char out[EP_HTTP_URL_MAX + 1],
                              struct ep_err *err) EP_MUST;

const char *ep_http_version(void); /* "libcurl/7.88.1 OpenSSL/3.0.11 …" */

#pragma GCC visibility pop
#endif
