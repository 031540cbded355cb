#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or why it cannot be executed: ENOENT, EACCES… */
static int check(const char *file)
{
  struct stat st;
  if (stat(file, &st) < 0)
    return errno;
  if (!S_ISREG(st.st_mode))
    return EACCES;
  return faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static enum ep_status absolute(const char *name, char found[EP_PROGRAM_MAX],
                               struct ep_err *err)
{
  int en, len;
  if (name[0] != '/')
    return ep_fail(err, "invalid",
                   "the program '%.200s' is given by a relative path: write the absolute "
                   "path, or a name without a slash to look for in PATH",
                   name);
  len = snprintf(found, EP_PROGRAM_MAX, "%s", name);
  en = len < EP_PROGRAM_MAX ? check(found) : ENAMETOOLONG;
  return en ? ep_fail_errno(err, en, "the program %.200s", name) : EP_OK;
}

enum ep_status ep_program_find(const char *name, const char *path,
                               char found[EP_PROGRAM_MAX], struct ep_err *err)
{
  char denied[EP_PROGRAM_MAX] = "";
  bool skipped = false;
  const char *at;
  if (!*name)
    return ep_fail(err, "invalid", "the program's name is empty");
  if (strchr(name, '/'))
    return absolute(name, found, err);
  if (!path)
    path = getenv("PATH");
  if (!path)
    path = "/usr/local/bin:/usr/bin:/bin";
  for (at = path;; at++) {
    size_t n = strcspn(at, ":");
    if (*at != '/') {
      skipped = true;
    } else if (n + 1 + strlen(name) < EP_PROGRAM_MAX) {
      int len = snprintf(found, EP_PROGRAM_MAX, "%.*s/%s", (int)n, at, name);
      int en = check(found);
      if (en == 0)
        return EP_OK;
      if (en == EACCES && !*denied)
        memcpy(denied, found, (size_t)len + 1);
    }
    at += n;
    if (!*at)
      break;
  }
  if (*denied)
    return ep_fail(err, "denied", "'%.100s' was found as %.200s, which is not executable",
                   name, denied);
  return ep_fail(err, "not_found",
                 "the program '%.100s' was not found in PATH (%.150s)%s", name, path,
                 skipped ? "; its relative entries are not used" : "");
}
