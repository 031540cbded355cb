/* From the fork in the keeper to the exec. */
#ifndef EP_PROC_CHILD_H
#define EP_PROC_CHILD_H

#include "proc_keeper.h"

#pragma GCC visibility push(hidden)

/* Every signal to its default action, those that the C library keeps for itself included.
 */
void ep_child_default_signals(void);
/* Closes every descriptor but these; negative ones are skipped. At most 8. */
void ep_child_keep_only(const int *fds, size_t n);

/* Becomes the program of the plan, or reports a message with EP_KEEPER_FAILED into
** `gate`, which a successful exec closes. */
_Noreturn void ep_child_run(const struct ep_keeper_plan *plan, pid_t keeper, int gate);

#pragma GCC visibility pop
#endif
