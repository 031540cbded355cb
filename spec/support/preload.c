/* Loaded with the sanitizer's runtime. Only a Lua keeps it: any other program that a spec
** starts begins again without it, since the leak checker would change its exit status.
*/
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

__attribute__((constructor)) static void keep_to_lua(int argc, char **argv)
{
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  (void)argc;
  if (n < 0)
    return;
  path[n] = '\0';
  if (strncmp(program_invocation_short_name, "lua", 3) == 0)
    return;
  unsetenv("LD_PRELOAD");
  execve(path, argv, environ);
}
