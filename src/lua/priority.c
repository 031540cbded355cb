/* How much the threads of a process give way to each other. */
#include "lep.h"

#include <errno.h>
#include <sys/resource.h>

enum { NICEST = 19 };

/* core.nice(n): this thread, which on Linux has a priority of its own, is that nice at least. Less
 * nice it cannot be made: that is not everybody's to do. */
static int core_nice(lua_State *L)
{
  int64_t n = lep_checksize(L, 1);
  struct ep_err err;
  int now;
  if (n > NICEST)
    luaL_argerror(L, 1, "0 to 19 expected");
  errno = 0; /* -1 is a priority, too */
  now = getpriority(PRIO_PROCESS, 0);
  if (errno || (n > now && setpriority(PRIO_PROCESS, 0, (int)n) != 0)) {
    (void)ep_fail_errno(&err, errno, "changing the priority of a thread");
    return lep_fail(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"nice", core_nice},
    {NULL, NULL},
};

void lep_open_priority(lua_State *L)
{
  lep_setfuncs(L, functions);
}
