#include "czstd.h"

#include <stdlib.h>
#include <zstd.h>

struct tl_zstd {
  ZSTD_CCtx *compressor;
  ZSTD_DCtx *decompressor;
};

// 8 MiB: what every decoder must support (RFC 8878, section 3.1.1.1.2).
static const int largest_window = 23;

tl_zstd *tl_zstd_begin(int level, uint64_t size) {
  tl_zstd *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  ZSTD_CCtx *context = ZSTD_createCCtx();
  if (!context || ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) ||
      ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) ||
      ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, size))) {
    ZSTD_freeCCtx(context);
    free(stream);
    return NULL;
  }
  stream->compressor = context;
  return stream;
}

tl_zstd *tl_unzstd_begin(void) {
  tl_zstd *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->decompressor = ZSTD_createDCtx();
  if (!stream->decompressor ||
      ZSTD_isError(ZSTD_DCtx_setParameter(stream->decompressor, ZSTD_d_windowLogMax, largest_window))) {
    ZSTD_freeDCtx(stream->decompressor);
    free(stream);
    return NULL;
  }
  return stream;
}

int tl_zstd_run(tl_zstd *stream, const void *in, size_t *in_length, void *out, size_t *out_length, int finish) {
  ZSTD_inBuffer input = {in, *in_length, 0};
  ZSTD_outBuffer output = {out, *out_length, 0};
  size_t left = stream->compressor ? ZSTD_compressStream2(stream->compressor, &output, &input,
                                                          finish ? ZSTD_e_end : ZSTD_e_continue)
                                   : ZSTD_decompressStream(stream->decompressor, &output, &input);
  *in_length = input.pos;
  *out_length = output.pos;
  if (ZSTD_isError(left)) return TL_ZSTD_DAMAGED;
  return left == 0 && (finish || stream->decompressor) ? TL_ZSTD_END : TL_ZSTD_OK;
}

void tl_zstd_end(tl_zstd *stream) {
  ZSTD_freeCCtx(stream->compressor);
  ZSTD_freeDCtx(stream->decompressor);
  free(stream);
}
