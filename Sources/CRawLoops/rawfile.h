// What the loops share: the clock, a file that leaves nothing behind, whole reads and writes.
#ifndef TORNLOG_RAWFILE_H
#define TORNLOG_RAWFILE_H

#include <stddef.h>
#include <stdint.h>

/// CLOCK_MONOTONIC in nanoseconds.
int64_t rl_now(void);
/// Elapsed since `start`, at least 1, so that no result looks like an error or divides by zero.
int64_t rl_since(int64_t start);

/// Creates `path` exclusively and unlinks it: the file lives as long as its descriptor. Descriptor or negative errno.
int rl_create(const char *path, int flags);
/// Writes zeros, or 0x5a where `fill` is set, over `bytes` of `fd` in pieces of 1 MiB. 0 or a negative errno.
int rl_fill(int fd, uint64_t bytes, int fill);
/// `pwrite` until all is written. 0 or a negative errno.
int rl_pwrite_all(int fd, const void *data, size_t length, uint64_t offset);
/// Memory aligned to 4096 bytes, every byte set, so that no page fault falls into the timed part. NULL: none left.
void *rl_memory(size_t bytes, int value);

#endif
