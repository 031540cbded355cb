/* How core objects become Lua values: one handle for all of them.
**
** A handle is a userdata with one counted pointer. It is born empty, gets its metatable,
** and only then acquires (lep_new … h->obj = …), so that nothing is lost when Lua raises.
** `close`, __gc and __close are one function that empties the handle first.
*/
#ifndef LEP_H
#define LEP_H

#include "compat.h"

#include "../base/ep.h"
#include "../base/io.h"

#pragma GCC visibility push(hidden)

struct lep_handle {
  void *obj;                /* an object that begins with an ep_obj; NULL when closed */
  void (*close)(void *obj); /* ends it before the reference is released; may be NULL */
};

/* Metatable names; what error messages call the thing. */
#define LEP_LOOP       "epoch.loop"
#define LEP_FLOW       "epoch.flow"
#define LEP_SOURCE     "epoch.source"
#define LEP_SINK       "epoch.sink"
#define LEP_SPOOL      "epoch.spool"
#define LEP_RELAY      "epoch.relay"
#define LEP_LOCK       "epoch.lock"
#define LEP_HASHER     "epoch.hasher"
#define LEP_TAR_READER "epoch.tar_reader"
#define LEP_TAR_WRITER "epoch.tar_writer"
#define LEP_PROCESS    "epoch.process"
#define LEP_REQUEST    "epoch.request"
#define LEP_TIMER      "epoch.timer"

/* Makes the class: methods, __gc, __close, __tostring, `close`. */
void lep_class(lua_State *L, const char *name, const luaL_Reg *methods);

/* Adds a method to a class that another part has made: loop:flow, loop:spawn, … */
void lep_method(lua_State *L, const char *name, const char *method, lua_CFunction f);

/* Pushes an empty handle; the caller then sets ->obj (an owned reference) and ->close. */
struct lep_handle *lep_new(lua_State *L, const char *name);
/* Right type and open, or an argument error ("flow is closed"). */
void *lep_check(lua_State *L, int arg, const char *name);
/* Right type and open, or NULL when the argument is nil or absent. */
void *lep_opt(lua_State *L, int arg, const char *name);
/* Right type and open, or NULL without raising. */
void *lep_test(lua_State *L, int arg, const char *name);

/* The host of this state (counts what is alive); there once luaopen_epoch_core has run. */
struct ep_host *lep_host(lua_State *L);
void lep_make_host(lua_State *L);
/* Keeps the library that holds this address until the process ends: objects may outlive the
** Lua state's own hold on it, and libraries below it do not like to be loaded twice. */
void lep_pin(const void *inside);

/* nil, message, code: what every call that can fail returns. */
int lep_fail(lua_State *L, const struct ep_err *err);
/* nil, "…", "again" for EP_AGAIN. */
int lep_again(lua_State *L);
/* What a call answers that did not come to EP_OK: false for EP_EOF, else as above. */
int lep_not_ok(lua_State *L, enum ep_status st, const struct ep_err *err);
/* The same, and true for EP_OK. */
int lep_done(lua_State *L, enum ep_status st, const struct ep_err *err);

/* Sizes: whole numbers from 0 to 2^53. */
int64_t lep_checksize(lua_State *L, int arg);
void lep_pushsize(lua_State *L, int64_t n);
/* {{offset=, length=}, …} */
void lep_pushextents(lua_State *L, const struct ep_extent *extents, size_t n);

/* A descriptor's number; whether it is open is seen when it is used. */
int lep_checkfd(lua_State *L, int arg);

/* Option tables. lep_options checks that arg is a table (or absent, if `optional`: then an
** empty one is used) and that it has no key but the NULL-terminated `known`, and leaves the
** table at the returned absolute index. The getters raise with the key's name on a wrong
** type; strings with a NUL byte are refused by lep_optstring. */
int lep_options(lua_State *L, int arg, bool optional, const char *const known[]);
const char *lep_optstring(lua_State *L, int t, const char *key, const char *fallback);
int64_t lep_optsize(lua_State *L, int t, const char *key, int64_t fallback);
bool lep_optbool(lua_State *L, int t, const char *key, bool fallback);
/* Seconds (fractions allowed) to milliseconds. */
int64_t lep_optms(lua_State *L, int t, const char *key, int64_t fallback_ms);
/* An open handle of that class or NULL. Pushes nothing; the table anchors it. */
void *lep_opthandle(lua_State *L, int t, const char *key, const char *name);

/* A source or sink that no flow, tap, reader or request uses: else an argument error. Who
** takes it over calls ep_source_adopt or ep_sink_adopt. The option forms answer NULL when
** the key is absent. */
struct ep_source *lep_checksource(lua_State *L, int arg);
struct ep_sink *lep_checksink(lua_State *L, int arg);
struct ep_source *lep_optsource(lua_State *L, int t, const char *key);
struct ep_sink *lep_optsink(lua_State *L, int t, const char *key);

/* A C string without NUL bytes, for paths and names that reach the system. */
const char *lep_checkpath(lua_State *L, int arg);

/* Pushes a source or sink that is already owned by the caller (the reference moves). On
** failure to allocate the userdata Lua raises and the reference would be lost, so make the
** handle first: lep_new(L, LEP_SOURCE)->obj = …; */
void lep_setsource(struct lep_handle *h, struct ep_source *s);
void lep_setsink(struct lep_handle *h, struct ep_sink *s);

/* The same as the last step of a function that made one: the handle at the top, or what
** `err` says when s is NULL. lep_nomemory serves those that fail in no other way. */
int lep_givesource(lua_State *L, struct lep_handle *h, struct ep_source *s,
                   const struct ep_err *err);
int lep_givesink(lua_State *L, struct lep_handle *h, struct ep_sink *s,
                 const struct ep_err *err);
const struct ep_err *lep_nomemory(struct ep_err *err);

/* Each part registers its classes and puts its functions into the table at the top. */
void lep_open_digest(lua_State *L);
void lep_open_io(lua_State *L);
void lep_open_spool(lua_State *L);
void lep_open_relay(lua_State *L);
void lep_open_fs(lua_State *L);
void lep_open_bounded(lua_State *L);
void lep_open_loop(lua_State *L);
void lep_open_flow(lua_State *L);
void lep_open_tar(lua_State *L);
void lep_open_process(lua_State *L);
void lep_open_terminal(lua_State *L);
void lep_open_priority(lua_State *L);
void lep_open_parts(lua_State *L);

/* Calls a function without arguments of a part that is loaded when needed (parts.c), and
** leaves its result. */
void lep_call_part(lua_State *L, const char *module, const char *name);

#pragma GCC visibility pop
#endif
