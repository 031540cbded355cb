/* Asked before every allocation of a torture build: must this one fail? */
#ifndef EP_TORTURE_H
#define EP_TORTURE_H

#include <stdbool.h>

bool ep_torture_denies(void);

#endif
