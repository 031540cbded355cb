/* Failures as words for people and a code for programs. */
#include "ep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *code_of_errno(int en)
{
  switch (en) {
  case ENOENT:
  case ENOTDIR:
    return "not_found";
  case EACCES:
  case EPERM:
  case EROFS:
    return "denied";
  case EEXIST:
    return "exists";
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return "no_space";
  case ENOMEM:
    return "no_memory";
  case ETIMEDOUT:
    return "timeout";
  case EINVAL:
  case ENAMETOOLONG:
    return "invalid";
  case EAGAIN:
    return "busy";
  default:
    return "io";
  }
}

enum ep_status ep_fail(struct ep_err *err, const char *code, const char *fmt, ...)
{
  va_list ap;
  err->code = code;
  err->sys = 0;
  va_start(ap, fmt);
  (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
  va_end(ap);
  return EP_ERR;
}

enum ep_status ep_fail_errno(struct ep_err *err, int en, const char *fmt, ...)
{
  char words[128];
  va_list ap;
  size_t n;
  err->code = code_of_errno(en);
  err->sys = en;
  va_start(ap, fmt);
  (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
  va_end(ap);
  n = strlen(err->text);
  /* the GNU strerror_r: returns the words, wherever they are */
  (void)snprintf(err->text + n, sizeof err->text - n, ": %s",
                 strerror_r(en, words, sizeof words));
  return EP_ERR;
}

enum ep_status ep_fail_memory(struct ep_err *err)
{
  return ep_fail(err, "no_memory", "out of memory");
}

enum ep_status ep_fail_because(struct ep_err *err, const struct ep_err *from,
                               const char *fmt, ...)
{
  struct ep_err cause = *from;
  va_list ap;
  size_t n;
  err->code = cause.code;
  err->sys = cause.sys;
  va_start(ap, fmt);
  (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
  va_end(ap);
  n = strlen(err->text);
  (void)snprintf(err->text + n, sizeof err->text - n, ": %s", cause.text);
  return EP_ERR;
}
