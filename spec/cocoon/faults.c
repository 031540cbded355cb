/* What the environment asks of the stand-in (main.c lists it), what it tells, how it ends. */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A program of one run: what the signal handler and the way out have to reach. */
static volatile sig_atomic_t signalled;
static const char *doomed;
static int64_t moved;

static int64_t number(const char *name)
{
  const char *value = getenv(name);
  return value ? strtoll(value, NULL, 10) : 0;
}

static bool is(const char *name, const char *wanted)
{
  const char *value = getenv(name);
  return value && strcmp(value, wanted) == 0;
}

static void on_signal(int number)
{
  signalled = number;
}

bool cancelled(void)
{
  return signalled != 0;
}

static void rest(double seconds)
{
  struct timespec t = {(time_t)seconds,
                       (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&t, &t) != 0 && errno == EINTR)
    ;
}

static void flood(int64_t n)
{
  static const char line[] = "standin: line upon line of what nobody asked for\n";
  for (; n > 0; n -= (int64_t)sizeof line - 1)
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
      return;
}

/* A grandchild with stdout and stderr open, as a daemon that was started carelessly. */
static void leave_behind(int64_t seconds)
{
  if (fork() != 0)
    return;
  close(STDIN_FILENO);
  rest((double)seconds);
  _exit(0);
}

void fake_start(void)
{
  struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  const char *sleep = getenv("COCOON_FAKE_SLEEP");
  sigaction(SIGTERM, &act, NULL);
  sigaction(SIGINT, &act, NULL);
  fake_log("started %d", (int)getpid());
  if (number("COCOON_FAKE_CHILD") > 0)
    leave_behind(number("COCOON_FAKE_CHILD"));
  flood(number("COCOON_FAKE_STDERR"));
  if (sleep)
    rest(strtod(sleep, NULL));
  while (is("COCOON_FAKE_HANG", "start"))
    pause();
}

static void die(int how)
{
  fake_log("died after %lld bytes", (long long)moved);
  if (how >= 0)
    _exit(how);
  struct sigaction act = {.sa_handler = SIG_DFL};
  sigaction(-how, &act, NULL);
  raise(-how);
  _exit(1);
}

void fake_moved(size_t n)
{
  const char *death = getenv("COCOON_FAKE_DIE");
  int64_t rate = number("COCOON_FAKE_RATE");
  moved += (int64_t)n;
  if (rate > 0)
    rest((double)n / (double)rate);
  if (death) {
    char *how;
    int64_t after = strtoll(death, &how, 10);
    if (moved >= after)
      die(*how == ':' ? (int)strtol(how + 1, NULL, 10) : -SIGKILL);
  }
}

bool fake_refuses(void)
{
  return number("COCOON_FAKE_EXIT") != 0;
}

int fake_end(int code)
{
  while (is("COCOON_FAKE_HANG", "end"))
    pause();
  if (fake_refuses())
    code = (int)number("COCOON_FAKE_EXIT");
  fake_log("exit %d", code);
  return code;
}

const char *fake_export(void)
{
  return getenv("COCOON_FAKE_EXPORT");
}

const char *fake_keep(void)
{
  return getenv("COCOON_FAKE_KEEP");
}

void fake_log(const char *format, ...)
{
  const char *path = getenv("COCOON_FAKE_LOG");
  int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
  va_list args;
  if (fd < 0)
    return;
  va_start(args, format);
  vdprintf(fd, format, args);
  va_end(args);
  dprintf(fd, "\n");
  close(fd);
}

void on_failure_remove(const char *directory)
{
  doomed = directory;
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
  (void)st, (void)type, (void)at;
  return remove(path);
}

void fail(const char *format, ...)
{
  va_list args;
  char message[1024];
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (doomed)
    nftw(doomed, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
  fprintf(stderr, "Error: %s\n", message);
  fake_log("failed: %s", message);
  exit(fake_end(1));
}

void say(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  fprintf(stderr, "INF ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
}

void *need(void *memory)
{
  if (!memory)
    fail("out of memory");
  return memory;
}

char *text(const char *format, ...)
{
  va_list args;
  char *made;
  va_start(args, format);
  if (vasprintf(&made, format, args) < 0)
    fail("out of memory");
  va_end(args);
  return made;
}
