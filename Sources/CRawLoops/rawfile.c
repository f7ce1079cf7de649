#include "rawfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t rl_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t rl_since(int64_t start) {
  int64_t elapsed = rl_now() - start;
  return elapsed > 0 ? elapsed : 1;
}

int rl_create(const char *path, int flags) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
  if (fd < 0) {
    int error = errno;
    // A file system that refuses O_DIRECT may have created the file before it said so (`man 2 open`).
    if (error == EINVAL) unlink(path);
    return -error;
  }
  if (unlink(path) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int rl_pwrite_all(int fd, const void *data, size_t length, uint64_t offset) {
  const char *at = data;
  while (length > 0) {
    ssize_t n = pwrite(fd, at, length, (off_t)offset);
    if (n < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    if (n == 0) return -EIO;
    at += n;
    length -= (size_t)n;
    offset += (uint64_t)n;
  }
  return 0;
}

int rl_fill(int fd, uint64_t bytes, int fill) {
  const size_t piece = 1 << 20;
  void *block = rl_memory(piece, fill ? 0x5a : 0);
  if (!block) return -ENOMEM;
  int result = 0;
  for (uint64_t at = 0; at < bytes && result == 0; at += piece) {
    size_t length = bytes - at < piece ? (size_t)(bytes - at) : piece;
    result = rl_pwrite_all(fd, block, length, at);
  }
  free(block);
  return result;
}

void *rl_memory(size_t bytes, int value) {
  void *memory = NULL;
  if (bytes == 0 || posix_memalign(&memory, 4096, bytes) != 0) return NULL;
  memset(memory, value, bytes);
  return memory;
}
