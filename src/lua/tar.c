/* Tar archives for Lua: entries out of a source, entries into a sink. */
#include "lep.h"

#include "../base/sparse.h"
#include "../base/tar_io.h"

#include <limits.h>

static const char *opt_prefix(lua_State *L, int t)
{
  const char *prefix = lep_optstring(L, t, "sparse", NULL);
  if (prefix && (*prefix == 0 || strlen(prefix) > EP_TAR_PREFIX_MAX))
    luaL_argerror(L, t, "option 'sparse': a prefix of 1 to 64 bytes expected");
  return prefix;
}

static int no_memory(lua_State *L)
{
  struct ep_err err;
  (void)ep_fail_memory(&err);
  return lep_fail(L, &err);
}

/* ---- reading ---- */

static void close_reader(void *obj)
{
  ep_tar_reader_close(obj);
}

/* core.tar_reader(source[, {sparse=}]) */
static int core_tar_reader(lua_State *L)
{
  static const char *const known[] = {"sparse", NULL};
  struct ep_source *source = lep_checksource(L, 1);
  int t = lep_options(L, 2, true, known);
  const char *sparse = opt_prefix(L, t);
  struct lep_handle *h = lep_new(L, LEP_TAR_READER);
  h->close = close_reader;
  h->obj = ep_tar_reader_new(lep_host(L), source, sparse);
  return h->obj ? 1 : no_memory(L);
}

static void push_records(lua_State *L, const struct ep_tar_entry *e)
{
  lua_createtable(L, (int)e->records_n, 0);
  for (size_t i = 0; i < e->records_n; i++) {
    const struct ep_tar_record *r = &e->records[i];
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, r->key, r->key_n);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, r->value, r->value_n);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

/* The map is the string that the records have already: it may be long. */
static void push_sparse(lua_State *L, const struct ep_tar_entry *e)
{
  lua_createtable(L, 0, 2);
  lua_getfield(L, -2, "pax");
  lua_rawgeti(L, -1, (int)(e->map - e->records) + 1);
  lua_rawgeti(L, -1, 2);
  lua_setfield(L, -4, "map");
  lua_pop(L, 2);
  lep_pushsize(L, e->logical);
  lua_setfield(L, -2, "size");
}

static void push_entry(lua_State *L, const struct ep_tar_entry *e)
{
  lua_createtable(L, 0, 6);
  lua_pushlstring(L, e->name, e->name_n);
  lua_setfield(L, -2, "name");
  lep_pushwhole(L, e->mode);
  lua_setfield(L, -2, "mode");
  lep_pushsize(L, e->size);
  lua_setfield(L, -2, "size");
  lep_pushwhole(L, e->mtime);
  lua_setfield(L, -2, "mtime");
  push_records(L, e);
  lua_setfield(L, -2, "pax");
  if (e->map) {
    push_sparse(L, e);
    lua_setfield(L, -2, "sparse");
  }
}

/* reader:next() -> entry | false at the clean end | nil, message, code */
static int reader_next(lua_State *L)
{
  struct ep_tar_reader *r = lep_check(L, 1, LEP_TAR_READER);
  const struct ep_tar_entry *entry;
  struct ep_err err;
  if (ep_tar_reader_left(r) > 0)
    return luaL_error(
        L, "the data of the last entry was not read: skip it or read its body");
  enum ep_status st = ep_tar_reader_next(r, &entry, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  push_entry(L, entry);
  return 1;
}

/* reader:body() -> source of the entry's data */
static int reader_body(lua_State *L)
{
  struct ep_tar_reader *r = lep_check(L, 1, LEP_TAR_READER);
  struct ep_source *body;
  struct lep_handle *h;
  if (!ep_tar_reader_has_body(r))
    return luaL_error(L, "no entry at hand, or its body was given out");
  h = lep_new(L, LEP_SOURCE);
  body = ep_tar_reader_body(r);
  if (!body)
    return no_memory(L);
  lep_setsource(h, body);
  return 1;
}

/* reader:skip() -> true | nil, message, code */
static int reader_skip(lua_State *L)
{
  struct ep_tar_reader *r = lep_check(L, 1, LEP_TAR_READER);
  struct ep_err err;
  return lep_done(L, ep_tar_reader_skip(r, &err), &err);
}

/* reader:offset() -> bytes of the archive read so far */
static int reader_offset(lua_State *L)
{
  lep_pushsize(L, ep_tar_reader_offset(lep_check(L, 1, LEP_TAR_READER)));
  return 1;
}

/* ---- writing ---- */

static void close_writer(void *obj)
{
  ep_tar_writer_close(obj);
}

/* core.tar_writer(sink[, {sparse=}]) */
static int core_tar_writer(lua_State *L)
{
  static const char *const known[] = {"sparse", NULL};
  struct ep_sink *sink = lep_checksink(L, 1);
  int t = lep_options(L, 2, true, known);
  const char *sparse = opt_prefix(L, t);
  struct lep_handle *h = lep_new(L, LEP_TAR_WRITER);
  h->close = close_writer;
  h->obj = ep_tar_writer_new(lep_host(L), sink, sparse);
  return h->obj ? 1 : no_memory(L);
}

/* A string of any bytes: what is wrong with a name is for the writer to say. */
static const char *check_text(lua_State *L, int t, int at, const char *what, size_t *n)
{
  if (lua_type(L, at) != LUA_TSTRING)
    luaL_argerror(L, t, lua_pushfstring(L, "%s: string expected", what));
  return lua_tolstring(L, at, n);
}

/* Fills records from the array `pax`; the table keeps the strings. */
static size_t check_records(lua_State *L, int t, struct ep_tar_record *records)
{
  size_t n;
  lua_getfield(L, t, "pax");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (!lua_istable(L, -1))
    luaL_argerror(L, t, "option 'pax': array of {key, value} expected");
  n = lep_rawlen(L, -1);
  for (size_t i = 0; i < n && i < EP_TAR_RECORDS_MAX; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    if (!lua_istable(L, -1))
      luaL_argerror(L, t, "option 'pax': array of {key, value} expected");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    records[i].key = check_text(L, t, -2, "key in option 'pax'", &records[i].key_n);
    records[i].value = check_text(L, t, -1, "value in option 'pax'", &records[i].value_n);
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return n; /* more than there is room for is refused by its number */
}

static void check_entry(lua_State *L, int t, struct ep_tar_entry *e,
                        struct ep_tar_record *records)
{
  int64_t mode = lep_optsize(L, t, "mode", 0644);
  memset(e, 0, sizeof *e);
  lua_getfield(L, t, "name");
  e->name = check_text(L, t, -1, "option 'name'", &e->name_n);
  lua_getfield(L, t, "mtime");
  if (!lua_isnil(L, -1) && !lep_towhole(L, -1, &e->mtime))
    luaL_argerror(L, t, "option 'mtime': whole number of seconds expected");
  lua_pop(L, 2);
  e->size = lep_optsize(L, t, "size", -1);
  if (e->size < 0)
    luaL_argerror(L, t, "option 'size' is missing");
  e->mode = mode > UINT_MAX ? UINT_MAX
                            : (unsigned)mode; /* refused there, like all above 0777 */
  e->records = records;
  e->records_n = check_records(L, t, records);
}

static const char *const entry_options[] = {"name", "mode", "size", "mtime", "pax", NULL};

/* writer:entry{name=, mode=, size=, mtime=, pax=} -> sink | nil, message, code */
static int writer_entry(lua_State *L)
{
  struct ep_tar_writer *w = lep_check(L, 1, LEP_TAR_WRITER);
  int t = lep_options(L, 2, false, entry_options);
  struct ep_tar_record records[EP_TAR_RECORDS_MAX];
  struct ep_tar_entry entry;
  struct ep_sink *body;
  struct lep_handle *h;
  struct ep_err err;
  check_entry(L, t, &entry, records);
  if (ep_tar_writer_busy(w))
    return luaL_error(L, "the last entry was not finished");
  h = lep_new(L, LEP_SINK);
  if (ep_tar_writer_entry(w, &entry, &body, &err) != EP_OK)
    return lep_fail(L, &err);
  lep_setsink(h, body);
  return 1;
}

/* writer:head{…} -> header, padding behind the data | nil, message, code */
static int writer_head(lua_State *L)
{
  struct ep_tar_writer *w = lep_check(L, 1, LEP_TAR_WRITER);
  struct ep_tar_record records[EP_TAR_RECORDS_MAX];
  struct ep_tar_entry entry;
  struct ep_tar_head head;
  struct ep_err err;
  check_entry(L, lep_options(L, 2, false, entry_options), &entry, records);
  if (ep_tar_writer_busy(w))
    return luaL_error(L, "the last entry was not finished");
  if (ep_tar_writer_head(w, &entry, &head, &err) != EP_OK)
    return lep_fail(L, &err);
  lua_pushlstring(L, (const char *)head.p, head.n);
  lep_pushsize(L, (int64_t)ep_tar_padding(entry.size));
  return 2;
}

/* writer:finish() -> true | nil, message, code */
static int writer_finish(lua_State *L)
{
  struct ep_tar_writer *w = lep_check(L, 1, LEP_TAR_WRITER);
  struct ep_err err;
  if (ep_tar_writer_busy(w))
    return luaL_error(L, "the last entry was not finished");
  return lep_done(L, ep_tar_writer_finish(w, &err), &err);
}

/* writer:poison() -> string | nil, message, code */
static int writer_poison(lua_State *L)
{
  struct ep_tar_writer *w = lep_check(L, 1, LEP_TAR_WRITER);
  unsigned char bytes[EP_TAR_POISON_MAX];
  struct ep_err err;
  size_t n;
  if (ep_tar_writer_poison(w, bytes, &n, &err) != EP_OK)
    return lep_fail(L, &err);
  lua_pushlstring(L, (const char *)bytes, n);
  return 1;
}

/* core.sparse_check(map, stored, logical) -> true | nil, message, code */
static int core_sparse_check(lua_State *L)
{
  size_t n;
  const char *map = luaL_checklstring(L, 1, &n);
  int64_t stored = lep_checksize(L, 2), logical = lep_checksize(L, 3);
  struct ep_err err;
  return lep_done(L, ep_sparse_check(map, n, stored, logical, &err), &err);
}

/* reader:arm(loop), writer:arm(loop): wakes the loop when trying again makes sense */
static int reader_arm(lua_State *L)
{
  struct ep_tar_reader *r = lep_check(L, 1, LEP_TAR_READER);
  struct ep_loop *loop = lep_check(L, 2, LEP_LOOP);
  ep_tar_reader_arm(r, loop, ep_loop_nudge(loop));
  return 0;
}

static int writer_arm(lua_State *L)
{
  struct ep_tar_writer *w = lep_check(L, 1, LEP_TAR_WRITER);
  struct ep_loop *loop = lep_check(L, 2, LEP_LOOP);
  ep_tar_writer_arm(w, loop, ep_loop_nudge(loop));
  return 0;
}

static const luaL_Reg reader_methods[] = {
    {"next", reader_next},     {"body", reader_body}, {"skip", reader_skip},
    {"offset", reader_offset}, {"arm", reader_arm},   {NULL, NULL},
};

static const luaL_Reg writer_methods[] = {
    {"entry", writer_entry},   {"head", writer_head}, {"finish", writer_finish},
    {"poison", writer_poison}, {"arm", writer_arm},   {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"tar_reader", core_tar_reader},
    {"tar_writer", core_tar_writer},
    {"sparse_check", core_sparse_check},
    {NULL, NULL},
};

void lep_open_tar(lua_State *L)
{
  lep_class(L, LEP_TAR_READER, reader_methods);
  lep_class(L, LEP_TAR_WRITER, writer_methods);
  lep_setfuncs(L, functions);
}
