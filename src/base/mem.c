/* Memory of the core. One door, so that a test build can close it at the n-th call. */
#include "ep.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef EP_TORTURE
#include "torture.h"
#define DENIED() ep_torture_denies()
#else
#define DENIED() false
#endif

void *ep_alloc(size_t n)
{
  return DENIED() ? NULL : calloc(1, n ? n : 1);
}

void *ep_alloc_raw(size_t n)
{
  return DENIED() ? NULL : malloc(n ? n : 1);
}

void *ep_realloc(void *p, size_t n)
{
  return DENIED() ? NULL : realloc(p, n ? n : 1);
}

char *ep_strndup(const char *s, size_t n)
{
  char *copy = ep_alloc(n + 1);
  if (copy)
    memcpy(copy, s, n);
  return copy;
}

void ep_free(void *p)
{
  free(p);
}

int64_t ep_now_ms(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
