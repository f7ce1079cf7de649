#include "czlib.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

uint32_t tl_crc32(uint32_t seed, const void *data, size_t length) { return libdeflate_crc32(seed, data, length); }

uint32_t tl_crc32_zlib(uint32_t seed, const void *data, size_t length) {
  return (uint32_t)crc32_z(seed, data, length);
}

struct tl_zstream {
  z_stream z;
  gz_header header;
  int compresses;
};

static const int gzip_window = 15 + 16;  // zlib.h, deflateInit2: 16 for a gzip wrapper

tl_zstream *tl_gzip_begin(uint32_t mtime, int level) {
  tl_zstream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->compresses = 1;
  if (deflateInit2(&stream->z, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(stream);
    return NULL;
  }
  stream->header.time = mtime;
  stream->header.os = 3;  // RFC 1952: Unix
  stream->header.hcrc = 1;
  deflateSetHeader(&stream->z, &stream->header);
  return stream;
}

tl_zstream *tl_gunzip_begin(void) {
  tl_zstream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  if (inflateInit2(&stream->z, gzip_window) != Z_OK) {
    free(stream);
    return NULL;
  }
  return stream;
}

int tl_zstream_run(tl_zstream *stream, const void *in, size_t *in_length, void *out, size_t *out_length, int finish) {
  z_stream *z = &stream->z;
  z->next_in = (Bytef *)in;
  z->avail_in = (uInt)*in_length;
  z->next_out = out;
  z->avail_out = (uInt)*out_length;
  int code = stream->compresses ? deflate(z, finish ? Z_FINISH : Z_NO_FLUSH) : inflate(z, Z_NO_FLUSH);
  *in_length -= z->avail_in;
  *out_length -= z->avail_out;
  if (code == Z_STREAM_END) return TL_Z_END;
  return code == Z_OK || code == Z_BUF_ERROR ? TL_Z_OK : TL_Z_DAMAGED;
}

void tl_zstream_end(tl_zstream *stream) {
  if (stream->compresses) {
    deflateEnd(&stream->z);
  } else {
    inflateEnd(&stream->z);
  }
  free(stream);
}
