/* A request from the inside: what its parts (transfer, head, body, upload, pace,
** redirect) share.
**
** One request is one or more hops: each hop is one curl transfer, set up anew, so that
** what one server was told is not told to the next by accident. The callbacks of a
** transfer only move bytes, set flags and mark tasks ready. A failure that a callback
** finds is kept with ep_request_flaw and wins over what curl then reports.
*/
#ifndef EP_HTTP_REQUEST_H
#define EP_HTTP_REQUEST_H

#include "../base/shelf.h"
#include "engine.h"
#include "headers.h"
#include "http.h"
#include "url.h"

#pragma GCC visibility push(hidden)

enum ep_phase {
  EP_PHASE_CONNECT, /* curl's connect timeout rules */
  EP_PHASE_SEND,    /* headers out, body on its way: the pace rules */
  EP_PHASE_WAIT,    /* all is sent, nothing has come: the header timeout rules */
  EP_PHASE_RECEIVE, /* the pace rules */
  EP_PHASE_OVER
};

/* The answer's head, as its lines come in. */
struct ep_head {
  struct ep_headers headers;
  size_t bytes; /* of all lines of this hop */
  int status;
  bool open;     /* within a block of lines */
  bool complete; /* the final block is in */
  bool refused;  /* a 417 after which curl tries without Expect */
  const char *version;
};

/* Bytes that were received and not yet read: `n` of them, from `at` in the first block to `end`
** in the last; those between are full. */
enum { EP_BACKLOG_BLOCKS = 4 };
struct ep_backlog {
  struct ep_block *blocks[EP_BACKLOG_BLOCKS];
  unsigned count;
  size_t at, end, n;
  struct ep_shelf spare;
};

enum { EP_PACE_SLICES = 10 };
struct ep_pace {
  struct ep_timer timer;
  struct ep_task task;
  int64_t tick; /* milliseconds between two looks */
  int64_t last_look;
  int64_t waiting_since;
  int64_t seen; /* bytes at the last look */
  int64_t slice_bytes[EP_PACE_SLICES], slice_ms[EP_PACE_SLICES];
  unsigned slice;
  bool held_up; /* by us, at some time since the last look */
};

struct ep_request {
  struct ep_obj obj;
  struct ep_loop *loop;
  struct ep_http *http;           /* NULL once the transfer is over */
  struct ep_request *prev, *next; /* in the engine's list */
  struct ep_request_spec spec;    /* its strings are own copies */
  struct ep_headers headers;      /* to send */
  struct ep_url url;              /* of this hop */
  bool trusted;                   /* this hop goes to the origin that was asked for */
  int redirects;
  bool following; /* this hop's answer is a redirect to follow */
  size_t drained; /* of its body */

  CURL *easy;
  struct curl_slist *lines;
  char curl_text[CURL_ERROR_SIZE];
  enum ep_phase phase;
  bool failed;
  struct ep_err err;

  struct ep_head head;
  struct ep_backlog backlog;
  bool body_taken;
  struct ep_task *reader; /* armed by whoever reads the body */
  int64_t received;

  int64_t send_total, sent; /* total -1: until the source ends */
  bool send_paused, receive_paused, resume_send, resume_receive;
  struct ep_task resume_task; /* tells curl to go on */
  struct ep_task source_task; /* armed with the source of the body */
  struct ep_pace pace;
};

/* request.c */
void ep_request_flaw(struct ep_request *req, const char *code, const char *fmt, ...)
    EP_PRINTF(3, 4);
void ep_request_wake(struct ep_request *req); /* whoever waits for the body */
void ep_request_over(struct ep_request *req, CURLcode rc);
void ep_request_failed(struct ep_request *req, const struct ep_err *why);

/* transfer.c: one hop as a curl handle with every option set. */
enum ep_status ep_transfer_setup(struct ep_request *req, struct ep_err *err) EP_MUST;
void ep_transfer_free(struct ep_request *req);

/* head.c: CURLOPT_HEADERFUNCTION */
size_t ep_head_line(char *line, size_t size, size_t n, void *req);

/* body.c: CURLOPT_WRITEFUNCTION, and the way on once the backlog has room */
size_t ep_body_write(char *bytes, size_t size, size_t n, void *req);
void ep_backlog_clear(struct ep_backlog *backlog);

/* upload.c: CURLOPT_READFUNCTION, CURLOPT_SEEKFUNCTION */
size_t ep_upload_read(char *buf, size_t size, size_t n, void *req);
int ep_upload_seek(void *req, curl_off_t offset, int origin);
void ep_upload_begin(struct ep_request *req);
void ep_upload_end(struct ep_request *req);
/* Does curl ask with Expect: 100-continue before it sends this body? */
bool ep_upload_expects(const struct ep_request *req);

/* pause.c: curl_easy_pause from a task, as it calls back synchronously. */
void ep_pause_init(struct ep_request *req);
void ep_pause_resume_receive(struct ep_request *req);
void ep_pause_resume_send(struct ep_request *req);
void ep_pause_end(struct ep_request *req);

/* pace.c */
void ep_pace_begin(struct ep_request *req);
void ep_pace_end(struct ep_request *req);

/* redirect.c */
bool ep_redirect_wanted(const struct ep_request *req);
/* Puts the next hop's address into req->url. */
enum ep_status ep_redirect_follow(struct ep_request *req, struct ep_err *err) EP_MUST;

/* failure.c */
void ep_failure_describe(const struct ep_request *req, CURLcode rc, struct ep_err *err);

#pragma GCC visibility pop
#endif
