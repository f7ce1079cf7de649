#include "czlib.h"

#include <libdeflate.h>
#include <zlib.h>

uint32_t tl_crc32(uint32_t seed, const void *data, size_t length) { return libdeflate_crc32(seed, data, length); }

uint32_t tl_crc32_zlib(uint32_t seed, const void *data, size_t length) {
  return (uint32_t)crc32_z(seed, data, length);
}

size_t tl_zlib_bound(size_t length) { return libdeflate_zlib_compress_bound(NULL, length); }

size_t tl_zlib_compress(const void *data, size_t length, void *into, size_t capacity) {
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
  if (!compressor) return 0;
  size_t written = libdeflate_zlib_compress(compressor, data, length, into, capacity);
  libdeflate_free_compressor(compressor);
  return written;
}

int tl_zlib_decompress(const void *data, size_t count, void *into, size_t length) {
  struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
  if (!decompressor) return 0;
  size_t used = 0;
  // Without room for the actual length it insists on exactly `length` bytes.
  enum libdeflate_result result = libdeflate_zlib_decompress_ex(decompressor, data, count, into, length, &used, NULL);
  libdeflate_free_decompressor(decompressor);
  return result == LIBDEFLATE_SUCCESS && used == count;
}

int tl_zlib_decompress_reference(const void *data, size_t count, void *into, size_t length) {
  uLongf written = length;
  uLong used = count;
  return uncompress2(into, &written, data, &used) == Z_OK && written == length && used == count;
}
