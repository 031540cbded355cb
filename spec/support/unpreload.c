/* Loaded after the sanitizer's runtime: programs that specs start are not instrumented and
** must not inherit it (the leak checker would change their exit status).
*/
#include <stdlib.h>

__attribute__((constructor)) static void forget_preload(void)
{
  unsetenv("LD_PRELOAD");
}
