#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "crawloops.h"
#include "rawfile.h"

// The timed part of rl_checksummed_blocks. Each block is written at full size: its tail, too short for a record, is
// padding.
static int64_t run_blocks(int fd, const char *pool, char *block, size_t record, uint64_t count) {
  const size_t per_block = RL_BLOCK / record;
  uint64_t done = 0, offset = 0;
  unsigned next = 0;
  volatile uint32_t checksum = 0;
  int64_t start = rl_now();
  while (done < count) {
    size_t n = count - done < per_block ? (size_t)(count - done) : per_block;
    for (size_t i = 0; i < n; i++) {
      memcpy(block + i * record, pool + (size_t)next * record, record);
      if (++next == RL_POOL) next = 0;
    }
    checksum ^= (uint32_t)crc32_z(0, (const Bytef *)block, RL_BLOCK);
    int result = rl_pwrite_all(fd, block, RL_BLOCK, offset);
    if (result < 0) return result;
    offset += RL_BLOCK;
    done += n;
  }
  return rl_since(start);
}

int64_t rl_checksummed_blocks(const char *path, enum rl_file file, size_t record, uint64_t count) {
  if (record == 0 || record > RL_BLOCK || count == 0) return -EINVAL;
  char *pool = rl_memory(record * RL_POOL, 0x5a), *block = rl_memory(RL_BLOCK, 0);
  int64_t result = -ENOMEM;
  if (pool && block) {
    int fd = rl_create(path, 0);
    result = fd;
    if (fd >= 0) {
      uint64_t per_block = RL_BLOCK / record, blocks = (count + per_block - 1) / per_block;
      result = file == RL_ZERO_FILLED ? rl_fill(fd, blocks * RL_BLOCK, 0) : 0;
      if (result == 0) result = run_blocks(fd, pool, block, record, count);
      close(fd);
    }
  }
  free(block);
  free(pool);
  return result;
}

static int read_through(int fd, char *piece, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    ssize_t n = pread(fd, piece, bytes - at < RL_PIECE ? bytes - at : RL_PIECE, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? -errno : -EIO;
    at += (size_t)n;
  }
  return 0;
}

int64_t rl_cached_read(const char *path, size_t file_bytes, unsigned passes) {
  if (file_bytes == 0 || passes == 0) return -EINVAL;
  char *piece = rl_memory(RL_PIECE, 0);
  if (!piece) return -ENOMEM;
  int fd = rl_create(path, 0);
  int64_t result = fd;
  if (fd >= 0) {
    result = rl_fill(fd, file_bytes, 1);
    // One pass before the clock starts: what is timed reads a file that has been read before.
    if (result == 0) result = read_through(fd, piece, file_bytes);
    int64_t start = rl_now();
    for (unsigned pass = 0; pass < passes && result == 0; pass++) result = read_through(fd, piece, file_bytes);
    if (result == 0) result = rl_since(start);
    close(fd);
  }
  free(piece);
  return result;
}

int64_t rl_checksum(size_t buffer_bytes, unsigned passes, uint32_t *checksum) {
  if (buffer_bytes == 0 || passes == 0) return -EINVAL;
  unsigned char *buffer = rl_memory(buffer_bytes, 0x5a);
  if (!buffer) return -ENOMEM;
  uint32_t all = 0;
  int64_t start = rl_now();
  for (unsigned pass = 0; pass < passes; pass++)
    for (size_t at = 0; at < buffer_bytes; at += RL_BLOCK)
      all ^= (uint32_t)crc32_z(0, buffer + at, buffer_bytes - at < RL_BLOCK ? buffer_bytes - at : RL_BLOCK);
  int64_t result = rl_since(start);
  *checksum = all;
  free(buffer);
  return result;
}
