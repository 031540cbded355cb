/* loop:spawn{…} and what can be done with a child; core.which, core.environ. */
#include "lep.h"

#include "../base/loop.h"
#include "../base/proc.h"
#include "../base/program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { GRACE_MS = 2000, STOP_MS = 3000 };

static const struct {
  const char *name;
  int number;
} signals[] = {
    {"HUP", SIGHUP},     {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP},   {"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CONT", SIGCONT},
    {"STOP", SIGSTOP},   {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"SYS", SIGSYS},   {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},   {"IO", SIGIO},     {"PWR", SIGPWR},   {"STKFLT", SIGSTKFLT},
    {"WINCH", SIGWINCH}, {"URG", SIGURG},   {"CHLD", SIGCHLD},
};
enum { SIGNALS = sizeof signals / sizeof *signals };

static void push_signal_name(lua_State *L, int number)
{
  int i;
  for (i = 0; i < SIGNALS; i++)
    if (signals[i].number == number) {
      lua_pushstring(L, signals[i].name);
      return;
    }
  lua_pushfstring(L, "%d", number);
}

static int check_signal(lua_State *L, int arg)
{
  const char *name = luaL_checkstring(L, arg);
  int i;
  for (i = 0; i < SIGNALS; i++)
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  return luaL_argerror(L, arg, "name of a signal expected, like 'TERM'");
}

/* ---- arguments of spawn ---- */

/* A new vector of n + 1 pointers, the last NULL, at the top of the stack. */
static char **new_vector(lua_State *L, size_t n)
{
  return memset(lep_newuserdata(L, (n + 1) * sizeof(char *)), 0,
                (n + 1) * sizeof(char *));
}

/* The string at the top. What anchors it is the caller's business. */
static char *c_string(lua_State *L, int t, const char *key)
{
  size_t n = 0;
  const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (!s || strlen(s) != n)
    luaL_argerror(
        L, t, lua_pushfstring(L, "option '%s': strings without NUL bytes expected", key));
  return (char *)s;
}

/* Leaves the vector at the top; its strings stay in the table. */
static char **check_argv(lua_State *L, int t)
{
  size_t i, n;
  char **argv;
  int from;
  lua_getfield(L, t, "argv");
  from = lua_gettop(L);
  n = lua_istable(L, from) ? lep_rawlen(L, from) : 0;
  if (n == 0)
    luaL_argerror(L, t, "option 'argv': array of strings expected");
  argv = new_vector(L, n);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, from, (int)i + 1);
    argv[i] = c_string(L, t, "argv");
    lua_pop(L, 1);
  }
  if (argv[0][0] != '/')
    luaL_argerror(L, t,
                  "option 'argv': the first is the absolute path of the program "
                  "(core.which finds it)");
  return argv;
}

/* The pair at the top of the stack as one string K=V in place of the value. */
static void join_pair(lua_State *L, int t)
{
  const char *v = c_string(L, t, "env"), *k = NULL;
  if (lua_type(L, -2) == LUA_TNUMBER) {
    const char *eq = strchr(v, '=');
    if (!eq || eq == v)
      luaL_argerror(L, t, "option 'env': 'NAME=VALUE' expected");
    return;
  }
  lua_pushvalue(L, -2);
  k = c_string(L, t, "env");
  if (!*k || strchr(k, '='))
    luaL_argerror(L, t, "option 'env': non-empty names without '=' expected");
  lua_pushfstring(L, "%s=%s", k, v);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* NULL when the caller's environment is to be used. Leaves three values: the option, a
** table that keeps the strings, and the vector. */
static char **check_env(lua_State *L, int t)
{
  size_t n = 0, i;
  char **env;
  int from, strings;
  lua_getfield(L, t, "env");
  from = lua_gettop(L);
  lua_newtable(L);
  strings = from + 1;
  if (lua_isnil(L, from)) {
    lua_pushnil(L);
    return NULL;
  }
  if (!lua_istable(L, from))
    luaL_argerror(L, t, "option 'env': table expected");
  lua_pushnil(L);
  while (lua_next(L, from)) {
    join_pair(L, t);
    lua_rawseti(L, strings, (int)++n);
  }
  env = new_vector(L, n);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, strings, (int)i + 1);
    env[i] = c_string(L, t, "env");
    lua_pop(L, 1);
  }
  return env;
}

static enum ep_stdio check_stdio(lua_State *L, int t, const char *key, bool may_pipe)
{
  const char *how = lep_optstring(L, t, key, "null");
  if (strcmp(how, "null") == 0)
    return EP_STDIO_NULL;
  if (strcmp(how, "inherit") == 0)
    return EP_STDIO_INHERIT;
  if (!may_pipe || strcmp(how, "pipe") != 0)
    luaL_argerror(L, t,
                  lua_pushfstring(L, "option '%s': %s expected", key,
                                  may_pipe ? "'pipe', 'null' or 'inherit'"
                                           : "descriptor, false, 'null' or 'inherit'"));
  return EP_STDIO_PIPE;
}

static void check_stderr(lua_State *L, int t, struct ep_process_spec *spec)
{
  int64_t fd = STDERR_FILENO;
  lua_getfield(L, t, "stderr");
  spec->err = EP_STDIO_PIPE;
  if (lua_type(L, -1) == LUA_TSTRING) {
    spec->err = check_stdio(L, t, "stderr", false);
  } else if (lua_isnil(L, -1)) { /* a host without a stderr wants nothing passed on */
    if (fcntl(STDERR_FILENO, F_GETFD) < 0)
      fd = -1;
  } else if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    fd = -1;
  } else if (!lep_towhole(L, -1, &fd) || fd < 0 || fd > INT32_MAX) {
    luaL_argerror(L, t,
                  "option 'stderr': descriptor, false, 'null' or 'inherit' expected");
  }
  spec->pass_fd = (int)fd;
  lua_pop(L, 1);
}

static void close_process(void *obj)
{
  ep_process_close(obj);
}

/* loop:spawn{argv=, env=, cwd=, stdin=, stdout=, stderr=, grace=} */
static int loop_spawn(lua_State *L)
{
  static const char *const known[] = {"argv",   "env",    "cwd",   "stdin",
                                      "stdout", "stderr", "grace", NULL};
  struct ep_loop *loop = lep_check(L, 1, LEP_LOOP);
  int t = lep_options(L, 2, false, known);
  struct ep_process_spec spec = {0};
  struct lep_handle *h;
  struct ep_err err;
  spec.argv = check_argv(L, t);
  spec.env = check_env(L, t);
  spec.cwd = lep_optstring(L, t, "cwd", NULL);
  spec.in = check_stdio(L, t, "stdin", true);
  spec.out = check_stdio(L, t, "stdout", true);
  check_stderr(L, t, &spec);
  spec.grace_ms = lep_optms(L, t, "grace", GRACE_MS);
  h = lep_new(L, LEP_PROCESS);
  h->obj = ep_process_spawn(loop, &spec, &err);
  h->close = close_process;
  return h->obj ? 1 : lep_fail(L, &err);
}

/* ---- methods ---- */

static int process_stdin(lua_State *L)
{
  struct ep_process *p = lep_check(L, 1, LEP_PROCESS);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_sink *sink;
  struct ep_err err;
  if (ep_process_take_stdin(p, &sink, &err) != EP_OK)
    return lep_fail(L, &err);
  if (!sink)
    return luaL_error(L, "stdin of the process is no pipe, or was taken before");
  lep_setsink(h, sink);
  return 1;
}

static int process_stdout(lua_State *L)
{
  struct ep_process *p = lep_check(L, 1, LEP_PROCESS);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_source *source = ep_process_take_stdout(p);
  if (!source)
    return luaL_error(L, "stdout of the process is no pipe, or was taken before");
  lep_setsource(h, source);
  return 1;
}

static int process_pid(lua_State *L)
{
  lep_pushwhole(L, ep_process_pid(lep_check(L, 1, LEP_PROCESS)));
  return 1;
}

static int give_result(lua_State *L, struct ep_process *p)
{
  struct ep_process_exit end;
  struct ep_err err;
  const char *tail;
  size_t n;
  enum ep_status st = ep_process_wait(p, &end, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lua_createtable(L, 0, 3);
  if (end.signalled) {
    push_signal_name(L, end.number);
    lua_setfield(L, -2, "signal");
  }
  lep_pushwhole(L, end.number);
  lua_setfield(L, -2, end.signalled ? "number" : "code");
  tail = ep_process_tail(p, &n);
  lua_pushlstring(L, tail, n);
  lua_setfield(L, -2, "stderr");
  return 1;
}

/* process:wait() -> {code=, stderr=} or {signal=, number=, stderr=} */
static int process_wait(lua_State *L)
{
  return give_result(L, lep_check(L, 1, LEP_PROCESS));
}

/* process:kill("TERM") */
static int process_kill(lua_State *L)
{
  struct ep_process *p = lep_check(L, 1, LEP_PROCESS);
  int number = check_signal(L, 2);
  struct ep_err err;
  return lep_done(L, ep_process_signal(p, number, &err), &err);
}

/* process:stop{tail=, hold=, grace=}: ends it, then answers as wait does */
static int process_stop(lua_State *L)
{
  static const char *const known[] = {"tail", "hold", "grace", NULL};
  struct ep_process *p = lep_check(L, 1, LEP_PROCESS);
  int t = lep_options(L, 2, true, known);
  struct ep_process_stop how = {0};
  struct ep_err err;
  how.hold = lep_optbool(L, t, "hold", false);
  how.grace_ms = lep_optms(L, t, "grace", STOP_MS);
  lua_getfield(L, t, "tail");
  if (lua_type(L, -1) == LUA_TSTRING)
    how.tail = lua_tolstring(L, -1, &how.n);
  else if (!lua_isnil(L, -1))
    luaL_argerror(L, t, "option 'tail': string expected");
  if (how.hold && how.tail)
    luaL_argerror(L, t, "options 'tail' and 'hold' exclude each other");
  if (ep_process_stop(p, &how, &err) != EP_OK)
    return lep_fail(L, &err);
  return give_result(L, p);
}

static const luaL_Reg methods[] = {
    {"stdin", process_stdin},
    {"stdout", process_stdout},
    {"pid", process_pid},
    {"wait", process_wait},
    {"kill", process_kill},
    {"stop", process_stop},
    {NULL, NULL},
};

/* ---- functions ---- */

/* core.which(name[, path]) */
static int core_which(lua_State *L)
{
  const char *name = lep_checkpath(L, 1);
  const char *path = lua_isnoneornil(L, 2) ? NULL : luaL_checkstring(L, 2);
  struct ep_err err;
  char found[EP_PROGRAM_MAX];
  if (ep_program_find(name, path, found, &err) != EP_OK)
    return lep_fail(L, &err);
  lua_pushstring(L, found);
  return 1;
}

/* core.environ() -> {"NAME=VALUE", …} */
static int core_environ(lua_State *L)
{
  char **e;
  int n = 0;
  lua_newtable(L);
  for (e = environ; e && *e; e++) {
    lua_pushstring(L, *e);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"which", core_which},
    {"environ", core_environ},
    {NULL, NULL},
};

void lep_open_process(lua_State *L)
{
  lep_class(L, LEP_PROCESS, methods);
  lep_method(L, LEP_LOOP, "spawn", loop_spawn);
  lep_setfuncs(L, functions);
}
