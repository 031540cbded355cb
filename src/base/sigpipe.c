/* Writing to a pipe whose reader has gone raises SIGPIPE, and a library must neither die of
** it nor change what its host does with the signal. So it is blocked in this thread around
** the write, and one that this write raised is taken back before the mask is restored.
*/
#include "io.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

_Static_assert(sizeof(sigset_t) <= sizeof((struct ep_sigpipe *)0)->saved,
               "a signal set fits");

static bool pending_now(void)
{
  sigset_t set;
  return sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

void ep_sigpipe_enter(struct ep_sigpipe *guard)
{
  sigset_t only, saved;
  sigemptyset(&only);
  sigaddset(&only, SIGPIPE);
  guard->blocked = pthread_sigmask(SIG_BLOCK, &only, &saved) == 0;
  if (!guard->blocked)
    return;
  memcpy(guard->saved, &saved, sizeof saved);
  /* a SIGPIPE that was already waiting is its owner's, not ours to take back */
  guard->pending = sigismember(&saved, SIGPIPE) == 1 && pending_now();
}

void ep_sigpipe_leave(struct ep_sigpipe *guard)
{
  int en = errno;
  sigset_t saved;
  if (!guard->blocked)
    return;
  if (!guard->pending && pending_now()) {
    static const struct timespec at_once = {0, 0};
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    while (sigtimedwait(&only, NULL, &at_once) < 0 && errno == EINTR)
      ;
  }
  memcpy(&saved, guard->saved, sizeof saved);
  (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
  errno = en;
}
