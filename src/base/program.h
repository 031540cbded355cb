/* Which file a program's name means. */
#ifndef EP_PROGRAM_H
#define EP_PROGRAM_H

#include "ep.h"

#pragma GCC visibility push(hidden)

enum { EP_PROGRAM_MAX = 4096 };

/* The absolute path of an executable regular file. `name` is such a path or has no
** slash; `path` is a list as in the variable PATH, NULL for that variable. Entries
** that are empty or relative are skipped: they would run what lies in the current
** directory. Codes: "invalid", "not_found", "denied". */
enum ep_status ep_program_find(const char *name, const char *path,
                               char found[EP_PROGRAM_MAX], struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
