#include "czlib.h"

#include <libdeflate.h>
#include <stdlib.h>
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
