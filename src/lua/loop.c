/* Loops and timers for Lua. A loop has pollfd, events and timeout, so that cqueues, luv or
** poll(2) can wait for it; `poll` waits itself and is the only call that does. */
#include "lep.h"

#include "../base/loop.h"

#include <signal.h>

struct timer {
  struct ep_obj obj;
  struct ep_loop *loop;
  struct ep_timer timer;
  struct ep_task task;
  bool expired;
};

static void close_loop(void *loop)
{
  ep_loop_close(loop);
}

static struct ep_loop *check_loop(lua_State *L)
{
  return lep_check(L, 1, LEP_LOOP);
}

/* core.loop([{threads=}]) */
static int core_loop(lua_State *L)
{
  static const char *const known[] = {"threads", NULL};
  int t = lep_options(L, 1, true, known);
  int64_t threads = lep_optsize(L, t, "threads", -1);
  struct lep_handle *h;
  struct ep_err err;
  if (threads > 1024)
    luaL_argerror(L, t, "option 'threads': at most 1024 expected");
  h = lep_new(L, LEP_LOOP);
  h->close = close_loop;
  h->obj = ep_loop_new(lep_host(L), (int)threads, &err);
  return h->obj ? 1 : lep_fail(L, &err);
}

/* loop:step() -> true | nil, message, "cancelled" */
static int loop_step(lua_State *L)
{
  struct ep_err err;
  return lep_done(L, ep_loop_step(check_loop(L), &err), &err);
}

/* loop:poll([seconds]): waits until something has happened */
static int loop_poll(lua_State *L)
{
  struct ep_loop *loop = check_loop(L);
  lua_Number s = luaL_optnumber(L, 2, -1);
  struct ep_err err;
  int ms = s < 0 ? -1 : s > 1e6 ? 1000000000 : (int)(s * 1000);
  return lep_done(L, ep_loop_poll(loop, ms, &err), &err);
}

static int loop_pollfd(lua_State *L)
{
  lep_pushwhole(L, ep_loop_fd(check_loop(L)));
  return 1;
}

static int loop_events(lua_State *L)
{
  (void)check_loop(L);
  lua_pushliteral(L, "r");
  return 1;
}

/* loop:timeout() -> seconds until a step is due even if nothing happens | nil */
static int loop_timeout(lua_State *L)
{
  int ms = ep_loop_timeout(check_loop(L));
  if (ms < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, ms / 1000.0);
  return 1;
}

/* loop:cancel([reason]) */
static int loop_cancel(lua_State *L)
{
  struct ep_loop *loop = check_loop(L);
  ep_loop_cancel(loop, luaL_optstring(L, 2, "its owner"));
  return 0;
}

/* loop:cancelled() -> reason | nil */
static int loop_cancelled(lua_State *L)
{
  lua_pushstring(L, ep_loop_cancelled(check_loop(L)));
  return 1;
}

static int loop_cancel_fd(lua_State *L)
{
  struct ep_err err;
  int fd;
  if (ep_loop_cancel_fd(check_loop(L), &fd, &err) != EP_OK)
    return lep_fail(L, &err);
  lep_pushwhole(L, fd);
  return 1;
}

enum { SIGNALS_MAX = 8 };

/* loop:signals("INT", "TERM", …): cancels on them */
static int loop_signals(lua_State *L)
{
  static const struct {
    const char *name;
    int number;
  } known[] = {{"INT", SIGINT},   {"TERM", SIGTERM}, {"HUP", SIGHUP},
               {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}};
  struct ep_loop *loop = check_loop(L);
  int numbers[SIGNALS_MAX];
  int i, n = lua_gettop(L) - 1;
  struct ep_err err;
  if (n < 1 || n > SIGNALS_MAX)
    return luaL_error(L, "one to %d signal names expected", SIGNALS_MAX);
  for (i = 0; i < n; i++) {
    const char *name = luaL_checkstring(L, i + 2);
    size_t k = 0;
    while (k < sizeof known / sizeof *known && strcmp(known[k].name, name) != 0)
      k++;
    if (k == sizeof known / sizeof *known)
      return luaL_argerror(L, i + 2, "INT, TERM, HUP, QUIT, USR1 or USR2 expected");
    numbers[i] = known[k].number;
  }
  return lep_done(L, ep_loop_signals(loop, numbers, (size_t)n, &err), &err);
}

/* ---- timers ---- */

static void run_timer(struct ep_task *task, size_t budget)
{
  struct timer *t = (struct timer *)((char *)task - offsetof(struct timer, task));
  (void)budget;
  t->expired = true;
}

static void timer_destroy(void *self)
{
  struct timer *t = self;
  ep_loop_untimer(t->loop, &t->timer);
  ep_loop_forget(t->loop, &t->task);
  ep_release(t->loop);
}

/* loop:timer(seconds) */
static int loop_timer(lua_State *L)
{
  struct ep_loop *loop = check_loop(L);
  lua_Number s = luaL_checknumber(L, 2);
  struct lep_handle *h;
  struct timer *t;
  if (!(s >= 0 && s <= 1e9))
    luaL_argerror(L, 2, "number of seconds expected");
  h = lep_new(L, LEP_TIMER);
  t = ep_obj_new(lep_host(L), EP_KIND_TIMER, sizeof *t, timer_destroy);
  if (!t) {
    struct ep_err err;
    (void)ep_fail_memory(&err);
    return lep_fail(L, &err);
  }
  h->obj = t;
  t->loop = ep_retain(loop);
  t->task.run = run_timer;
  ep_loop_timer(loop, &t->timer, ep_now_ms() + (int64_t)(s * 1000), &t->task);
  return 1;
}

/* timer:wait() -> true | nil, message, "again" */
static int timer_wait(lua_State *L)
{
  struct timer *t = lep_check(L, 1, LEP_TIMER);
  if (!t->expired)
    return lep_again(L);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg loop_methods[] = {
    {"step", loop_step},
    {"poll", loop_poll},
    {"pollfd", loop_pollfd},
    {"events", loop_events},
    {"timeout", loop_timeout},
    {"cancel", loop_cancel},
    {"cancelled", loop_cancelled},
    {"cancel_fd", loop_cancel_fd},
    {"signals", loop_signals},
    {"timer", loop_timer},
    {NULL, NULL},
};

static const luaL_Reg timer_methods[] = {
    {"wait", timer_wait},
    {NULL, NULL},
};

/* core.now() -> seconds of a clock that only moves forward */
static int core_now(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)ep_now_ms() / 1000.0);
  return 1;
}

static const luaL_Reg functions[] = {
    {"loop", core_loop},
    {"now", core_now},
    {NULL, NULL},
};

void lep_open_loop(lua_State *L)
{
  lep_class(L, LEP_LOOP, loop_methods);
  lep_class(L, LEP_TIMER, timer_methods);
  lep_setfuncs(L, functions);
}
