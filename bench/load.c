/* Many small HTTP requests over kept connections, for bench-gateway.
**
**   load PORT METHOD PATH CONNECTIONS SECONDS RATE
**
** RATE 0: every connection sends its next request when it has its answer. Else RATE
** requests a second are due whatever happened to those before, and what is measured
** begins when a request was due, so waiting for a connection counts. Answers must be 200
** with a Content-Length. Prints "requests N seconds S failed F p50 MS p99 MS max MS". */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, CONNECTIONS_MAX = 1000, STEP_US = 10, STEPS = 2000000 };

typedef struct {
  int fd;
  bool busy;
  uint64_t due;       /* ns */
  size_t have;        /* bytes of the head */
  uint64_t body;      /* bytes of the body still to come */
  bool in_body, last; /* last: the server closes the connection after this answer */
  char head[HEAD_MAX];
} Connection;

typedef struct {
  struct sockaddr_in to;
  char request[HEAD_MAX];
  size_t length;
  bool is_head;
  int epoll, timer;
  size_t count;
  uint64_t began, end, interval; /* ns; interval 0: no rate */
  uint64_t due;                  /* the next request that nobody has sent */
  uint64_t requests, failed, slowest;
  Connection *connections;
  uint32_t *histogram;
} Load;

static void die(const char *what)
{
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(2);
}

static uint64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void open_connection(Load *l, Connection *c)
{
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->to, sizeof l->to) != 0)
    die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->busy = c->in_body = c->last = false;
  c->have = 0;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
    die("epoll_ctl");
}

static void reopen(Load *l, Connection *c)
{
  close(c->fd);
  open_connection(l, c);
}

static void send_request(Load *l, Connection *c, uint64_t due)
{
  c->busy = true;
  c->due = due;
  c->have = 0;
  c->in_body = false;
  if (send(c->fd, l->request, l->length, MSG_NOSIGNAL) != (ssize_t)l->length)
    die("send");
}

/* The next one for a connection without work, when it is due. */
static void next_request(Load *l, Connection *c)
{
  uint64_t t = now();
  if (t >= l->end)
    return;
  if (l->interval == 0) {
    send_request(l, c, t);
  } else if (l->due <= t && l->due < l->end) {
    send_request(l, c, l->due);
    l->due += l->interval;
  }
}

static void finished(Load *l, Connection *c, bool good)
{
  uint64_t took = now() - c->due;
  uint64_t step = took / 1000 / STEP_US;
  l->histogram[step < STEPS ? step : STEPS - 1]++;
  l->slowest = took > l->slowest ? took : l->slowest;
  l->requests++;
  l->failed += !good;
  c->busy = false;
  if (c->last)
    reopen(l, c);
  next_request(l, c);
}

static void broken(Load *l, Connection *c)
{
  l->failed += c->busy;
  reopen(l, c);
  next_request(l, c);
}

static bool is_good(const Connection *c)
{
  return strncmp(c->head, "HTTP/1.1 200", 12) == 0;
}

/* Takes bytes of the head; how many of them were the body's, or -1 while it is not whole. */
static ssize_t take_head(Load *l, Connection *c)
{
  c->head[c->have] = '\0';
  char *end = strstr(c->head, "\r\n\r\n");
  if (end == NULL)
    return -1;
  size_t head = (size_t)(end + 4 - c->head);
  c->body = 0;
  for (char *line = c->head; line < end; line = strstr(line, "\r\n") + 2)
    if (strncasecmp(line, "content-length:", 15) == 0)
      c->body = l->is_head ? 0 : strtoull(line + 15, NULL, 10);
    else if (strncasecmp(line, "connection: close", 17) == 0)
      c->last = true;
  c->in_body = true;
  return (ssize_t)(c->have - head);
}

/* Bytes of a body are not looked at. */
static void readable(Load *l, Connection *c)
{
  static char nowhere[65536];
  char *into = c->in_body ? nowhere : c->head + c->have;
  size_t room = c->in_body ? sizeof nowhere : HEAD_MAX - 1 - c->have;
  ssize_t n = recv(c->fd, into, room, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0 || !c->busy) {
    broken(l, c);
    return;
  }
  if (!c->in_body) {
    c->have += (size_t)n;
    n = take_head(l, c);
    if (n < 0)
      return;
  }
  c->body -= (uint64_t)n > c->body ? c->body : (uint64_t)n;
  if (c->body == 0)
    finished(l, c, is_good(c));
}

/* Wakes the loop when the next request is due, or at the end. */
static void arm(Load *l)
{
  uint64_t at = l->interval != 0 && l->due < l->end ? l->due : l->end;
  struct itimerspec when = {
      .it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
  if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
    die("timerfd_settime");
}

static bool any_busy(const Load *l)
{
  for (size_t i = 0; i < l->count; i++)
    if (l->connections[i].busy)
      return true;
  return false;
}

static void use_idle(Load *l)
{
  for (size_t i = 0; i < l->count && (l->interval == 0 || l->due <= now()); i++)
    if (!l->connections[i].busy)
      next_request(l, &l->connections[i]);
}

static void run(Load *l)
{
  static struct epoll_event events[CONNECTIONS_MAX];
  const uint64_t patience = 30u * 1000000000ull;
  use_idle(l);
  while (now() < l->end || (any_busy(l) && now() < l->end + patience)) {
    if (l->interval != 0)
      arm(l);
    int n = epoll_wait(l->epoll, events, CONNECTIONS_MAX, 100);
    if (n < 0 && errno != EINTR)
      die("epoll_wait");
    for (int i = 0; i < n; i++)
      if (events[i].data.ptr != NULL)
        readable(l, events[i].data.ptr);
    if (l->interval != 0)
      use_idle(l);
  }
  for (size_t i = 0; i < l->count; i++)
    l->failed += l->connections[i].busy;
}

static double percentile(const Load *l, double part)
{
  uint64_t wanted = (uint64_t)((double)l->requests * part), seen = 0;
  for (size_t i = 0; i < STEPS; i++) {
    seen += l->histogram[i];
    if (seen > wanted)
      return (double)(i + 1) * STEP_US / 1000;
  }
  return (double)l->slowest / 1e6;
}

static void prepare(Load *l, char **argv)
{
  int port = (int)strtol(argv[1], NULL, 10);
  double rate = strtod(argv[6], NULL);
  l->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  l->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  l->is_head = strcmp(argv[2], "HEAD") == 0;
  int n = snprintf(l->request, sizeof l->request,
                   "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: "
                   "application/vnd.oci.image.manifest.v1+json, */*\r\n\r\n",
                   argv[2], argv[3], port);
  l->length = (size_t)n;
  l->count = strtoul(argv[4], NULL, 10);
  if (n >= (int)sizeof l->request || l->count < 1 || l->count > CONNECTIONS_MAX) {
    errno = EINVAL;
    die("arguments");
  }
  l->connections = calloc(l->count, sizeof *l->connections);
  l->histogram = calloc(STEPS, sizeof *l->histogram);
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  if (l->connections == NULL || l->histogram == NULL || l->epoll < 0 || l->timer < 0 ||
      epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &event) != 0)
    die("prepare");
  for (size_t i = 0; i < l->count; i++)
    open_connection(l, &l->connections[i]);
  l->began = l->due = now();
  l->end = l->began + (uint64_t)(strtod(argv[5], NULL) * 1e9);
  l->interval = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
}

int main(int argc, char **argv)
{
  Load l = {0};
  if (argc != 7) {
    fprintf(stderr, "usage: load PORT METHOD PATH CONNECTIONS SECONDS RATE\n");
    return 2;
  }
  prepare(&l, argv);
  run(&l);
  printf("requests %llu seconds %.3f failed %llu p50 %.3f p99 %.3f max %.3f\n",
         (unsigned long long)l.requests, (double)(now() - l.began) / 1e9,
         (unsigned long long)l.failed, percentile(&l, 0.5), percentile(&l, 0.99),
         (double)l.slowest / 1e6);
  return l.requests == 0;
}
