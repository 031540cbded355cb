/* See lua_target.h and challenge.lua. */
#define LUA_TARGET "spec/fuzz/challenge.lua"
#include "lua_target.h"
