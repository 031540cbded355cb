/* See lua_target.h and reference.lua. */
#define LUA_TARGET "spec/fuzz/reference.lua"
#include "lua_target.h"
