// The only window on <zlib.h> and <libdeflate.h>; crc64.h beside it has what they lack.
#ifndef TORNLOG_CZLIB_H
#define TORNLOG_CZLIB_H

#include <stddef.h>
#include <stdint.h>

#include "crc64.h"

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

/// A gzip stream (RFC 1952) that is being written or read, piece by piece.
typedef struct tl_zstream tl_zstream;

enum {
  TL_Z_OK = 0,       ///< goes on
  TL_Z_END = 1,      ///< the stream is complete; of one that is read, its checksums hold
  TL_Z_DAMAGED = -1  ///< what was read is no gzip stream
};

/// Begins to compress. `mtime`, seconds since 1970, goes into the header, which has a checksum of its own (FHCRC). NULL
/// where there is no memory.
tl_zstream *tl_gzip_begin(uint32_t mtime, int level);

/// Begins to decompress. NULL where there is no memory.
tl_zstream *tl_gunzip_begin(void);

/// Moves on. `in_length` and `out_length` say how much there is, and then how much was taken and made. With `finish`
/// nothing follows `in`: call it until TL_Z_END.
int tl_zstream_run(tl_zstream *stream, const void *in, size_t *in_length, void *out, size_t *out_length, int finish);

void tl_zstream_end(tl_zstream *stream);

#endif
