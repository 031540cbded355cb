/* Shared objects: counted references, and a count of what is alive for each host. */
#include "ep.h"

const char *const ep_kind_names[EP_KINDS] = {
    [EP_KIND_LOOP] = "loops",
    [EP_KIND_POOL] = "pools",
    [EP_KIND_FLOW] = "flows",
    [EP_KIND_SOURCE] = "sources",
    [EP_KIND_SINK] = "sinks",
    [EP_KIND_BLOCK] = "blocks",
    [EP_KIND_SPOOL] = "spools",
    [EP_KIND_RELAY] = "relays",
    [EP_KIND_LOCK] = "locks",
    [EP_KIND_HASHER] = "hashers",
    [EP_KIND_TAR_READER] = "tar_readers",
    [EP_KIND_TAR_WRITER] = "tar_writers",
    [EP_KIND_PROCESS] = "processes",
    [EP_KIND_HTTP] = "http_engines",
    [EP_KIND_REQUEST] = "requests",
    [EP_KIND_TIMER] = "timers",
};

struct ep_host *ep_host_new(void)
{
  struct ep_host *host = ep_alloc(sizeof *host);
  if (host)
    atomic_init(&host->refs, 1);
  return host;
}

void ep_host_release(struct ep_host *host)
{
  if (host && atomic_fetch_sub(&host->refs, 1) == 1)
    ep_free(host);
}

void ep_obj_init(struct ep_obj *obj, struct ep_host *host, enum ep_kind kind,
                 void (*destroy)(void *self))
{
  obj->host = host;
  obj->destroy = destroy;
  obj->kind = kind;
  atomic_init(&obj->refs, 1);
  atomic_fetch_add(&host->refs, 1);
  atomic_fetch_add(&host->live[kind], 1);
}

void *ep_obj_new(struct ep_host *host, enum ep_kind kind, size_t size,
                 void (*destroy)(void *self))
{
  struct ep_obj *obj = ep_alloc(size);
  if (obj)
    ep_obj_init(obj, host, kind, destroy);
  return obj;
}

void *ep_retain(void *self)
{
  struct ep_obj *obj = self;
  atomic_fetch_add(&obj->refs, 1);
  return obj;
}

void ep_release(void *self)
{
  struct ep_obj *obj = self;
  struct ep_host *host;
  if (!obj || atomic_fetch_sub(&obj->refs, 1) != 1)
    return;
  host = obj->host;
  atomic_fetch_sub(&host->live[obj->kind], 1);
  if (obj->destroy)
    obj->destroy(obj);
  ep_free(obj);
  ep_host_release(host);
}
