/* How large the window behind a descriptor is, and lines that are typed at the terminal. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

bool ep_terminal(int fd, unsigned *columns, unsigned *rows)
{
  struct winsize size = {0};
  if (!isatty(fd))
    return false;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0)
    size = (struct winsize){0};
  *columns = size.ws_col;
  *rows = size.ws_row;
  return true;
}

struct typed {
  struct ep_source base;
  struct ep_source *lines; /* the terminal's own source; has the descriptor */
  int fd;
  bool hidden; /* `before` is to be put back */
  struct termios before;
};

static enum ep_status typed_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                 struct ep_err *err)
{
  return ep_source_read(((struct typed *)s)->lines, buf, cap, n, err);
}

static void typed_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  ep_source_arm(((struct typed *)s)->lines, loop, task);
}

static int set(int fd, const struct termios *mode)
{
  int r;
  do
    r = tcsetattr(fd, TCSANOW, mode);
  while (r < 0 && errno == EINTR);
  return r;
}

static void typed_close(struct ep_source *s)
{
  struct typed *t = (struct typed *)s;
  if (t->hidden)
    (void)set(t->fd, &t->before);
  ep_source_drop(t->lines);
  t->lines = NULL;
}

static const struct ep_source_type typed_type = {
    .name = "terminal",
    .read = typed_read,
    .arm = typed_arm,
    .close = typed_close,
};

/* Keys that would stop or end the process are taken away meanwhile: what they send cannot
** be waited for, and the terminal would stay as it is now. ^C can. */
static enum ep_status hide(struct typed *t, struct ep_err *err)
{
  struct termios mode;
  if (tcgetattr(t->fd, &t->before) < 0)
    return ep_fail_errno(err, errno, "looking at the terminal");
  mode = t->before;
  mode.c_lflag = (mode.c_lflag & ~(tcflag_t)ECHO) | ICANON | ISIG | ECHONL;
  mode.c_cc[VQUIT] = mode.c_cc[VSUSP] = _POSIX_VDISABLE;
  if (set(t->fd, &mode) < 0)
    return ep_fail_errno(err, errno, "hiding what is typed at the terminal");
  t->hidden = true;
  return EP_OK;
}

static int open_terminal(struct ep_err *err)
{
  int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 && (errno == ENXIO || errno == ENOENT))
    (void)ep_fail(err, "not_found", "there is no terminal");
  else if (fd < 0)
    (void)ep_fail_errno(err, errno, "opening /dev/tty");
  return fd;
}

struct ep_source *ep_source_typed(struct ep_host *host, bool hidden, struct ep_err *err)
{
  int fd = open_terminal(err);
  struct ep_source *lines = fd < 0 ? NULL : ep_source_fd(host, fd, true, err);
  struct typed *t;
  if (!lines)
    return NULL;
  t = ep_source_new(host, &typed_type, sizeof *t);
  if (!t) {
    (void)ep_fail_memory(err);
    ep_release(lines);
    return NULL;
  }
  t->lines = lines;
  t->fd = fd;
  if (hidden && hide(t, err) != EP_OK) {
    ep_release(t);
    return NULL;
  }
  return &t->base;
}
