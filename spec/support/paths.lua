--- Finds the modules and the core of this checkout, whatever Lua runs.
local abi = _VERSION:match("[%d.]+$")

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = ("./build/lua/%s/?.so;%s"):format(abi, package.cpath)
