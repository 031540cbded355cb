/* Options that several functions share: what is promised of the bytes, what to compute. */
#ifndef LEP_OPTIONS_H
#define LEP_OPTIONS_H

#include "lep.h"

#include "../base/gauge.h"

#pragma GCC visibility push(hidden)

/* size=, limit=, digest="sha256:…", what="…" */
void lep_optgauge(lua_State *L, int t, struct ep_gauge *gauge);
/* A name, an array of names, true (sha256), or nil: as bits 1 << enum ep_digest_alg. */
unsigned lep_optalgs(lua_State *L, int t, const char *key);

#pragma GCC visibility pop
#endif
