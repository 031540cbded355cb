/* How large the window behind a descriptor is. */
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool ep_terminal(int fd, unsigned *columns, unsigned *rows)
{
  struct winsize size = {0};
  if (!isatty(fd))
    return false;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0)
    size = (struct winsize){0};
  *columns = size.ws_col;
  *rows = size.ws_row;
  return true;
}
