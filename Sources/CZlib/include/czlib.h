// The only window on <zlib.h>.
#ifndef TORNLOG_CZLIB_H
#define TORNLOG_CZLIB_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32 (zlib's polynomial) of `length` bytes, continued from `seed` (0 to begin).
uint32_t tl_crc32(uint32_t seed, const void *data, size_t length);

#endif
