/* What is known of a terminal. */
#ifndef EP_TERMINAL_H
#define EP_TERMINAL_H

#include "ep.h"

#pragma GCC visibility push(hidden)

/* Is it a terminal, and how large at this moment? Sizes are 0 where it does not say. */
bool ep_terminal(int fd, unsigned *columns, unsigned *rows);

#pragma GCC visibility pop
#endif
