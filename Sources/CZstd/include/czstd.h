// The only window on <zstd.h>.
#ifndef TORNLOG_CZSTD_H
#define TORNLOG_CZSTD_H

#include <stddef.h>
#include <stdint.h>

/// A zstd stream (RFC 8878) that is being written or read, piece by piece.
typedef struct tl_zstd tl_zstd;

enum {
  TL_ZSTD_OK = 0,       ///< goes on
  TL_ZSTD_END = 1,      ///< a frame is complete; of one that is read, its checksum holds
  TL_ZSTD_DAMAGED = -1  ///< what was read is no zstd stream
};

/// Begins to compress a file of `size` bytes into one frame that names its size and carries a checksum. NULL where there
/// is no memory.
tl_zstd *tl_zstd_begin(int level, uint64_t size);

/// Begins to decompress. A frame that wants a window of more than 8 MiB is refused as damaged. NULL where there is no
/// memory.
tl_zstd *tl_unzstd_begin(void);

/// Moves on. `in_length` and `out_length` say how much there is, and then how much was taken and made. With `finish`
/// nothing follows `in`: call it until TL_ZSTD_END.
int tl_zstd_run(tl_zstd *stream, const void *in, size_t *in_length, void *out, size_t *out_length, int finish);

void tl_zstd_end(tl_zstd *stream);

#endif
