/* The file system for Lua, as far as a store needs it. */
#include "lep.h"

#include "../base/file.h"

#include <stdio.h>
#include <sys/stat.h>

/* Never seen by scripts: what core_list has in hand while it fills its table. */
#define LEP_NAMES "epoch.names"

/* core.mkdir(path[, mode]): with its parents; one that is there is fine */
static int core_mkdir(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  int64_t mode = lua_isnoneornil(L, 2) ? 0777 : lep_checksize(L, 2);
  struct ep_err err;
  if (mode > 0777)
    luaL_argerror(L, 2, "permission bits expected");
  return lep_done(L, ep_fs_mkdir(path, (unsigned)mode, &err), &err);
}

static int core_unlink(lua_State *L)
{
  struct ep_err err;
  return lep_done(L, ep_fs_unlink(lep_checkpath(L, 1), &err), &err);
}

static int core_rename(lua_State *L)
{
  const char *from = lep_checkpath(L, 1);
  struct ep_err err;
  return lep_done(L, ep_fs_rename(from, lep_checkpath(L, 2), &err), &err);
}

/* core.sync_parent(path): what was renamed or removed beside it is on disk */
static int core_sync_parent(lua_State *L)
{
  struct ep_err err;
  return lep_done(L, ep_fs_sync_parent(lep_checkpath(L, 1), &err), &err);
}

enum { NAMES_MAX = 1000000 };

/* core.list(path) -> {name, …}, in no order */
static int core_list(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  struct lep_handle *h = lep_new(L, LEP_NAMES);
  const struct ep_block *block;
  const unsigned char *name;
  struct ep_err err;
  size_t i, n;
  h->obj = ep_fs_list(lep_host(L), path, NAMES_MAX, &n, &err);
  if (!h->obj)
    return lep_fail(L, &err);
  block = h->obj;
  name = block->data;
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    size_t length = strlen((const char *)name);
    lua_pushlstring(L, (const char *)name, length);
    lua_rawseti(L, -2, (int)i + 1);
    name += length + 1;
  }
  ep_release(h->obj);
  h->obj = NULL;
  return 1;
}

/* core.stat(path) -> {type=, size=, mtime=, mtime_ns=, mode=, id=}: links are not followed */
static int core_stat(lua_State *L)
{
  struct ep_stat st;
  struct ep_err err;
  char id[40];
  if (ep_fs_stat(lep_checkpath(L, 1), &st, &err) != EP_OK)
    return lep_fail(L, &err);
  (void)snprintf(id, sizeof id, "%llx:%llx", (unsigned long long)st.dev,
                 (unsigned long long)st.ino);
  lua_createtable(L, 0, 6);
  lua_pushstring(L, st.type);
  lua_setfield(L, -2, "type");
  lep_pushsize(L, st.size);
  lua_setfield(L, -2, "size");
  lep_pushsize(L, st.mtime);
  lua_setfield(L, -2, "mtime");
  lep_pushsize(L, st.mtime_ns);
  lua_setfield(L, -2, "mtime_ns");
  lep_pushsize(L, st.mode);
  lua_setfield(L, -2, "mode");
  lua_pushstring(L, id);
  lua_setfield(L, -2, "id");
  return 1;
}

static void close_lock(void *lock)
{
  ep_lock_close(lock);
}

/* core.lock(path[, {shared=}]) -> lock | nil, message, "busy" while another has it */
static int core_lock(lua_State *L)
{
  static const char *const known[] = {"shared", NULL};
  const char *path = lep_checkpath(L, 1);
  int t = lep_options(L, 2, true, known);
  bool shared = lep_optbool(L, t, "shared", false);
  struct lep_handle *h = lep_new(L, LEP_LOCK);
  struct ep_err err;
  h->close = close_lock;
  h->obj = ep_lock_new(lep_host(L), path, shared, &err);
  return h->obj ? 1 : lep_fail(L, &err);
}

enum { EXTENTS_MAX = 65536 };

/* core.extents(path) -> {{offset=, length=}, …}, size: where data is; holes are left out */
static int core_extents(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  struct ep_extent *extents = lep_newuserdata(L, EXTENTS_MAX * sizeof(struct ep_extent));
  struct ep_err err;
  int64_t size;
  size_t n;
  if (ep_fs_extents(path, extents, EXTENTS_MAX, &n, &size, &err) != EP_OK)
    return lep_fail(L, &err);
  lep_pushextents(L, extents, n);
  lep_pushsize(L, size);
  return 2;
}

/* core.link(from, to): one more name of the same file */
static int core_link(lua_State *L)
{
  const char *from = lep_checkpath(L, 1);
  struct ep_err err;
  return lep_done(L, ep_fs_link(from, lep_checkpath(L, 2), &err), &err);
}

/* core.chmod(path, mode) */
static int core_chmod(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  int64_t mode = lep_checksize(L, 2);
  struct ep_err err;
  if (mode > 0777)
    luaL_argerror(L, 2, "permission bits expected");
  return lep_done(L, ep_fs_chmod(path, (unsigned)mode, &err), &err);
}

/* core.umask(mode) -> the one before; of the process, so also of its other threads */
static int core_umask(lua_State *L)
{
  int64_t mode = lep_checksize(L, 1);
  if (mode > 0777)
    luaL_argerror(L, 1, "permission bits expected");
  lep_pushsize(L, umask((mode_t)mode));
  return 1;
}

/* core.sync(path): its data is on disk */
static int core_sync(lua_State *L)
{
  struct ep_err err;
  return lep_done(L, ep_fs_sync(lep_checkpath(L, 1), &err), &err);
}

/* core.writeback(path, offset, length): does not wait */
static int core_writeback(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  int64_t offset = lep_checksize(L, 2);
  struct ep_err err;
  return lep_done(L, ep_fs_writeback(path, offset, lep_checksize(L, 3), &err), &err);
}

/* core.reserve(path, offset, length) */
static int core_reserve(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  int64_t offset = lep_checksize(L, 2);
  struct ep_err err;
  return lep_done(L, ep_fs_reserve(path, offset, lep_checksize(L, 3), &err), &err);
}

/* core.truncate(path, size) */
static int core_truncate(lua_State *L)
{
  const char *path = lep_checkpath(L, 1);
  struct ep_err err;
  return lep_done(L, ep_fs_truncate(path, lep_checksize(L, 2), &err), &err);
}

/* core.append(from, to) -> bytes */
static int core_append(lua_State *L)
{
  const char *from = lep_checkpath(L, 1);
  struct ep_err err;
  int64_t n;
  if (ep_fs_append(from, lep_checkpath(L, 2), &n, &err) != EP_OK)
    return lep_fail(L, &err);
  lep_pushsize(L, n);
  return 1;
}

static const luaL_Reg no_methods[] = {{NULL, NULL}};

static const luaL_Reg functions[] = {
    {"mkdir", core_mkdir},
    {"unlink", core_unlink},
    {"rename", core_rename},
    {"sync_parent", core_sync_parent},
    {"list", core_list},
    {"stat", core_stat},
    {"lock", core_lock},
    {"extents", core_extents},
    {"link", core_link},
    {"chmod", core_chmod},
    {"umask", core_umask},
    {"sync", core_sync},
    {"writeback", core_writeback},
    {"truncate", core_truncate},
    {"append", core_append},
    {"reserve", core_reserve},
    {NULL, NULL},
};

void lep_open_fs(lua_State *L)
{
  lep_class(L, LEP_LOCK, no_methods);
  lep_class(L, LEP_NAMES, no_methods);
  lep_setfuncs(L, functions);
}
