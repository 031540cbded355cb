/* What is known of a terminal, and what a person types there. */
#ifndef EP_TERMINAL_H
#define EP_TERMINAL_H

#include "io.h"

#pragma GCC visibility push(hidden)

/* Is it a terminal, and how large at this moment? Sizes are 0 where it does not say. */
bool ep_terminal(int fd, unsigned *columns, unsigned *rows);

/* What is typed at the terminal that this process belongs to, a line for each read. With
** `hidden` none of it is shown but the end of the line, until the source is closed. Fails
** with "not_found" where there is no terminal. */
struct ep_source *ep_source_typed(struct ep_host *host, bool hidden,
                                  struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
