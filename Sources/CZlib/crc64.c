#include "crc64.h"

#if defined(__x86_64__)

#include <immintrin.h>

int tl_crc64_can_fold(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

__attribute__((target("pclmul,sse4.1"), always_inline)) static inline __m128i step(
    __m128i state, __m128i by, __m128i next) {
  return _mm_xor_si128(
      next, _mm_xor_si128(_mm_clmulepi64_si128(state, by, 0x00), _mm_clmulepi64_si128(state, by, 0x11)));
}

__attribute__((target("pclmul,sse4.1"))) void tl_crc64_fold(
    const void *data, size_t length, uint64_t crc, const uint64_t constants[4], void *into) {
  const __m128i *at = data;
  const __m128i *end = at + length / 16;
  const __m128i near = _mm_set_epi64x((long long)constants[1], (long long)constants[0]);
  __m128i state = _mm_xor_si128(_mm_loadu_si128(at++), _mm_cvtsi64_si128((long long)crc));
  if (end - at >= 7) {
    const __m128i far = _mm_set_epi64x((long long)constants[3], (long long)constants[2]);
    __m128i b = _mm_loadu_si128(at), c = _mm_loadu_si128(at + 1), d = _mm_loadu_si128(at + 2);
    for (at += 3; end - at >= 4; at += 4) {
      state = step(state, far, _mm_loadu_si128(at));
      b = step(b, far, _mm_loadu_si128(at + 1));
      c = step(c, far, _mm_loadu_si128(at + 2));
      d = step(d, far, _mm_loadu_si128(at + 3));
    }
    state = step(state, near, b);
    state = step(state, near, c);
    state = step(state, near, d);
  }
  while (at < end) state = step(state, near, _mm_loadu_si128(at++));
  _mm_storeu_si128(into, state);
}

#else

int tl_crc64_can_fold(void) { return 0; }

void tl_crc64_fold(const void *data, size_t length, uint64_t crc, const uint64_t constants[4], void *into) {
  (void)data, (void)length, (void)crc, (void)constants, (void)into;
  __builtin_trap();
}

#endif
