/* Flows for Lua: loop:flow{source=, sink=, …}. */
#include "lep.h"

#include "../base/flow.h"
#include "../base/loop.h"
#include "options.h"

static void close_flow(void *flow)
{
  ep_flow_close(flow);
}

/* loop:flow{source=, sink=, size=, limit=, digest=, hash=, what=, more=} */
static int loop_flow(lua_State *L)
{
  static const char *const known[] = {"source", "sink", "size", "limit", "digest",
                                      "hash",   "what", "more", NULL};
  struct ep_loop *loop = lep_check(L, 1, LEP_LOOP);
  int t = lep_options(L, 2, false, known);
  struct ep_flow_spec spec = {0};
  struct lep_handle *h;
  struct ep_err err;
  spec.source = lep_optsource(L, t, "source");
  spec.sink = lep_optsink(L, t, "sink");
  spec.algs = lep_optalgs(L, t, "hash");
  spec.more = lep_optbool(L, t, "more", false);
  lep_optgauge(L, t, &spec.gauge);
  if (!spec.source)
    luaL_argerror(L, t, "option 'source' is missing");
  h = lep_new(L, LEP_FLOW);
  h->close = close_flow;
  h->obj = ep_flow_start(loop, &spec, &err);
  return h->obj ? 1 : lep_fail(L, &err);
}

static void push_digests(lua_State *L, const struct ep_flow_result *result)
{
  char text[EP_DIGEST_TEXT_MAX];
  unsigned alg;
  lua_createtable(L, 0, 1);
  for (alg = EP_DIGEST_NONE + 1; alg < EP_DIGEST_ALGS; alg++)
    if (result->digests[alg].alg != EP_DIGEST_NONE) {
      ep_digest_format(&result->digests[alg], text);
      lua_pushstring(L, text);
      lua_setfield(L, -2, ep_digest_name((enum ep_digest_alg)alg));
    }
}

/* flow:result() -> {size=, digest=, digests={sha256=…}} | nil, message, code */
static int flow_result(lua_State *L)
{
  struct ep_flow *flow = lep_check(L, 1, LEP_FLOW);
  struct ep_flow_result result;
  struct ep_err err;
  enum ep_status st = ep_flow_result(flow, &result, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lua_createtable(L, 0, 3);
  lep_pushsize(L, result.size);
  lua_setfield(L, -2, "size");
  push_digests(L, &result);
  lua_getfield(L, -1, "sha256");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_getfield(L, -1, "sha512");
  }
  lua_setfield(L, -3, "digest");
  lua_setfield(L, -2, "digests");
  return 1;
}

/* flow:moved() -> bytes so far */
static int flow_moved(lua_State *L)
{
  lep_pushsize(L, ep_flow_moved(lep_check(L, 1, LEP_FLOW)));
  return 1;
}

static const luaL_Reg methods[] = {
    {"result", flow_result},
    {"moved", flow_moved},
    {NULL, NULL},
};

void lep_open_flow(lua_State *L)
{
  lep_class(L, LEP_FLOW, methods);
  lep_method(L, LEP_LOOP, "flow", loop_flow);
}
