/* Who may stop a loop: a call, a descriptor that anybody can write to, or signals. */
#include "loop_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct ep_loop *loop_of(struct ep_watch *watch, size_t offset)
{
  return (struct ep_loop *)((char *)watch - offset);
}

void ep_loop_cancel_init(struct ep_loop *loop)
{
  loop->cancel.fd = -1;
  loop->cancel.signal_fd = -1;
}

void ep_loop_cancel(struct ep_loop *loop, const char *reason)
{
  loop->cancel.raised = true;
  (void)snprintf(loop->cancel.reason, sizeof loop->cancel.reason, "%s", reason);
}

const char *ep_loop_cancelled(const struct ep_loop *loop)
{
  return loop->cancel.reason[0] ? loop->cancel.reason : NULL;
}

static void on_cancel(struct ep_watch *watch, unsigned events)
{
  uint64_t count;
  (void)events;
  while (read(watch->fd, &count, sizeof count) < 0 && errno == EINTR)
    ;
  ep_loop_cancel(loop_of(watch, offsetof(struct ep_loop, cancel.watch)), "its caller");
}

enum ep_status ep_loop_cancel_fd(struct ep_loop *loop, int *fd, struct ep_err *err)
{
  if (loop->cancel.fd < 0) {
    int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made < 0)
      return ep_fail_errno(err, errno, "making a descriptor to cancel by");
    if (ep_loop_watch(loop, &loop->cancel.watch, made, EPOLLIN, on_cancel, err) !=
        EP_OK) {
      (void)close(made);
      return EP_ERR;
    }
    loop->cancel.fd = made;
  }
  *fd = loop->cancel.fd;
  return EP_OK;
}

/* One who ends a process may say so twice, as timeout(1) does, to the process and to its
** group: what follows the first signal at once is the same wish. What comes later is from
** one who will not wait for the cleaning up, and does what it does without a loop. */
enum { SAME_WISH_MS = 500 };

static bool same_wish(const struct ep_loop_cancel *c)
{
  return c->signalled != 0 && ep_now_ms() - c->signalled < SAME_WISH_MS;
}

/* The mask belongs to a thread, so only the one that blocked the signals can undo it. */
static void give_signals_back(struct ep_loop *loop)
{
  struct ep_loop_cancel *c = &loop->cancel;
  struct signalfd_siginfo said;
  if (c->signal_fd < 0)
    return;
  ep_loop_unwatch(loop, &c->signal_watch);
  while (same_wish(c) && read(c->signal_fd, &said, sizeof said) > 0)
    ;
  (void)close(c->signal_fd);
  c->signal_fd = -1;
  if (pthread_equal(pthread_self(), c->caught_by))
    (void)pthread_sigmask(SIG_UNBLOCK, &c->caught, NULL);
}

static void on_signal(struct ep_watch *watch, unsigned events)
{
  struct ep_loop *loop = loop_of(watch, offsetof(struct ep_loop, cancel.signal_watch));
  struct ep_loop_cancel *c = &loop->cancel;
  struct signalfd_siginfo info;
  char reason[EP_CANCEL_REASON_MAX];
  ssize_t n;
  (void)events;
  do
    n = read(watch->fd, &info, sizeof info);
  while (n < 0 && errno == EINTR);
  if (n != (ssize_t)sizeof info)
    return;
  if (c->signalled != 0) {
    if (!same_wish(c)) {
      give_signals_back(loop);
      (void)raise((int)info.ssi_signo);
    }
    return;
  }
  c->signalled = ep_now_ms();
  const char *name = sigabbrev_np((int)info.ssi_signo);
  (void)snprintf(reason, sizeof reason, "SIG%s", name ? name : "?");
  ep_loop_cancel(loop, reason);
}

enum ep_status ep_loop_signals(struct ep_loop *loop, const int *signals, size_t n,
                               struct ep_err *err)
{
  struct ep_loop_cancel *c = &loop->cancel;
  sigset_t wanted, before;
  size_t i;
  int en;
  if (c->signal_fd >= 0)
    return ep_fail(err, "invalid", "this loop catches signals already");
  sigemptyset(&wanted);
  for (i = 0; i < n; i++)
    if (sigaddset(&wanted, signals[i]) < 0)
      return ep_fail_errno(err, errno, "signal %d", signals[i]);
  en = pthread_sigmask(SIG_BLOCK, &wanted, &before);
  if (en != 0)
    return ep_fail_errno(err, en, "blocking signals");
  c->caught_by = pthread_self();
  c->caught = wanted;
  for (i = 0; i < n; i++)
    if (sigismember(&before, signals[i]) == 1)
      sigdelset(&c->caught, signals[i]);
  c->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  if (c->signal_fd < 0) {
    en = errno;
    (void)pthread_sigmask(SIG_UNBLOCK, &c->caught, NULL);
    return ep_fail_errno(err, en, "reading signals");
  }
  if (ep_loop_watch(loop, &c->signal_watch, c->signal_fd, EPOLLIN, on_signal, err) !=
      EP_OK) {
    give_signals_back(loop);
    return EP_ERR;
  }
  return EP_OK;
}

void ep_loop_cancel_close(struct ep_loop *loop)
{
  give_signals_back(loop);
  if (loop->cancel.fd >= 0) {
    ep_loop_unwatch(loop, &loop->cancel.watch);
    (void)close(loop->cancel.fd);
    loop->cancel.fd = -1;
  }
}
