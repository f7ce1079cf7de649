// CRC-64 by carry-less multiplication, where the processor has it.
#ifndef TORNLOG_CRC64_H
#define TORNLOG_CRC64_H

#include <stddef.h>
#include <stdint.h>

/// Whether `tl_crc64_fold` may be called.
int tl_crc64_can_fold(void);

/// Folds `length` bytes, a multiple of 16 and at least 16, to the 16 bytes `into` that have the same remainder.
/// `crc` is the state of the checksum before them. The state is 0 before the 16 bytes. `constants` are x^191, x^127,
/// x^575 and x^511 modulo the polynomial, each reflected.
/// Source: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009.
void tl_crc64_fold(const void *data, size_t length, uint64_t crc, const uint64_t constants[4], void *into);

#endif
