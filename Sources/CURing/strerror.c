#undef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "curing.h"

int tl_strerror(int error, char *into, size_t capacity) { return strerror_r(error, into, capacity); }
