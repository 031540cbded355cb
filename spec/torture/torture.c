/* Runs each scenario with the n-th allocation failing, n = 1, 2, 3 … until none is left to
** fail: once with only that one failing, once with all from there on. Every run must end in
** success or in "out of memory", with no descriptor, thread or child left; the sanitizers
** this is built with see to the rest.
*/
#include "torture.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int luaopen_epoch_core(lua_State *L);
int luaopen_epoch_core_http(lua_State *L);
int luaopen_epoch_core_unwrap(lua_State *L);

static atomic_long countdown; /* allocations until one fails; 0: none does */
static atomic_long denied;
static bool all_from_there;

bool ep_torture_denies(void)
{
  long left = atomic_load(&countdown);
  if (left <= 0 && !(all_from_there && atomic_load(&denied) > 0))
    return false;
  if (left > 0 && atomic_fetch_sub(&countdown, 1) != 1)
    return false;
  atomic_fetch_add(&denied, 1);
  return true;
}

static void *lua_allocate(void *ud, void *p, size_t old, size_t n)
{
  (void)ud;
  if (n == 0) {
    free(p);
    return NULL;
  }
  if ((!p || n > old) && ep_torture_denies())
    return NULL;
  return realloc(p, n);
}

static int entries(const char *dir)
{
  DIR *d = opendir(dir);
  int n = 0;
  while (d && readdir(d))
    n++;
  if (d)
    closedir(d);
  return n;
}

/* Threads and zombies take a moment to vanish. */
static bool settles(const char *dir, int expected)
{
  static const struct timespec moment = {0, 2000000};
  int i;
  for (i = 0; i < 1000; i++) {
    if (entries(dir) <= expected)
      return true;
    nanosleep(&moment, NULL);
  }
  fprintf(stderr, "%s has %d entries, %d before\n", dir, entries(dir), expected);
  return false;
}

/* ---- a web server of one page, so that the HTTP scenario needs nothing else ---- */

static int listener = -1;

static void answer(int fd)
{
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
                             "Connection: close\r\n\r\n";
  static char page[100000];
  char request[4096];
  ssize_t n = recv(fd, request, sizeof request, 0);
  if (n > 0 && send(fd, head, sizeof head - 1, MSG_NOSIGNAL) > 0) {
    size_t at = 0;
    while (at < sizeof page) {
      n = send(fd, page + at, sizeof page - at, MSG_NOSIGNAL);
      if (n <= 0)
        break;
      at += (size_t)n;
    }
  }
  close(fd);
}

static void *serve(void *arg)
{
  int fd;
  (void)arg;
  while ((fd = accept(listener, NULL, NULL)) >= 0 || errno == EINTR)
    if (fd >= 0)
      answer(fd);
  return NULL;
}

static int start_server(pthread_t *thread)
{
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
      listen(listener, 16) < 0 || getsockname(listener, (struct sockaddr *)&a, &n) < 0 ||
      pthread_create(thread, NULL, serve, NULL) != 0) {
    perror("starting a web server");
    exit(2);
  }
  return ntohs(a.sin_port);
}

/* ---- one run ---- */

static bool run(const char *path, long n, bool all, int port, bool *more)
{
  int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  int status;
  bool good;
  lua_State *L;
  atomic_store(&countdown, 0);
  atomic_store(&denied, 0);
  all_from_there = all;
  L = lua_newstate(lua_allocate, NULL);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_epoch_core);
  lua_setfield(L, -2, "epoch.core");
  lua_pushcfunction(L, luaopen_epoch_core_http);
  lua_setfield(L, -2, "epoch.core.http");
  lua_pushcfunction(L, luaopen_epoch_core_unwrap);
  lua_setfield(L, -2, "epoch.core.unwrap");
  lua_pop(L, 1);
  if (luaL_loadfile(L, path) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(2);
  }
  lua_pushinteger(L, port);
  atomic_store(&countdown, n);
  status = lua_pcall(L, 1, 0, 0);
  good = status == LUA_OK || strstr(luaL_tolstring(L, -1, NULL), "memory") != NULL;
  if (!good)
    fprintf(stderr, "%s: allocation %ld%s: %s\n", path, n, all ? " and all after it" : "",
            lua_tostring(L, -1));
  *more = atomic_load(&denied) > 0;
  if (good && status == LUA_OK && *more && all) {
    fprintf(stderr, "%s: succeeded without memory from allocation %ld on\n", path, n);
    good = false;
  }
  lua_close(L);
  while (waitpid(-1, NULL, WNOHANG) > 0) {
    fprintf(stderr, "%s: allocation %ld: a child was left\n", path, n);
    good = false;
  }
  return settles("/proc/self/task", threads) && settles("/proc/self/fd", fds) && good;
}

int main(int argc, char **argv)
{
  pthread_t server;
  int port = start_server(&server), failures = 0, i, all;
  for (i = 1; i < argc; i++)
    for (all = 0; all < 2; all++) {
      long n = 0;
      bool more = true, good = true;
      while (more && good && n < 100000)
        good = run(argv[i], ++n, all, port, &more);
      printf("%s - %s: %s, %ld allocations\n", good && !more ? "ok" : "not ok", argv[i],
             all ? "all from the n-th on fail" : "the n-th fails", n - 1);
      fflush(stdout);
      failures += !(good && !more);
    }
  shutdown(listener, SHUT_RDWR);
  pthread_join(server, NULL);
  close(listener);
  return failures ? 1 : 0;
}
