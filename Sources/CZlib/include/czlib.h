// The only window on <zlib.h> and <libdeflate.h>.
#ifndef TORNLOG_CZLIB_H
#define TORNLOG_CZLIB_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32 with zlib's polynomial of `length` bytes, continued from `seed` (0 to begin): libdeflate's implementation of
/// the same function, several times as fast on records of 1 KB.
uint32_t tl_crc32(uint32_t seed, const void *data, size_t length);

/// zlib's own `crc32`: the reference that the other is tested against.
uint32_t tl_crc32_zlib(uint32_t seed, const void *data, size_t length);

/// The most bytes that `length` bytes take when compressed.
size_t tl_zlib_bound(size_t length);

/// Compresses into the zlib format (RFC 1950), by libdeflate at its level 6.
/// Returns the bytes written; 0 where `capacity` does not do, or there is no memory.
size_t tl_zlib_compress(const void *data, size_t length, void *into, size_t capacity);

/// Decompresses the zlib format, by libdeflate. Returns 1 where all of `data` was used and gave exactly `length` bytes with
/// the right Adler-32, otherwise 0.
int tl_zlib_decompress(const void *data, size_t count, void *into, size_t length);

/// The same by zlib itself: the reference that the other is tested against.
int tl_zlib_decompress_reference(const void *data, size_t count, void *into, size_t length);

#endif
