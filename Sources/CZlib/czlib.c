#include "czlib.h"

#include <libdeflate.h>
#include <zlib.h>

uint32_t tl_crc32(uint32_t seed, const void *data, size_t length) { return libdeflate_crc32(seed, data, length); }

uint32_t tl_crc32_zlib(uint32_t seed, const void *data, size_t length) {
  return (uint32_t)crc32_z(seed, data, length);
}
