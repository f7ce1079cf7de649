#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crawloops.h"
#include "rawfile.h"

/// Bytes of a file that is filled beforehand.
#define RL_FILLED (16 << 20)

static int write_durably(int fd, void *data, size_t length, uint64_t offset) {
  for (;;) {
    struct iovec piece = {data, length};
    ssize_t n = pwritev2(fd, &piece, 1, (off_t)offset, RWF_DSYNC);
    if (n == (ssize_t)length) return 0;
    if (n >= 0) return -EIO;
    if (errno != EINTR) return -errno;
  }
}

static int put(int fd, enum rl_flush flush, void *data, size_t length, uint64_t offset) {
  if (flush == RL_DSYNC || flush == RL_DIRECT_DSYNC) return write_durably(fd, data, length, offset);
  int result = rl_pwrite_all(fd, data, length, offset);
  if (result != 0 || flush == RL_NO_FLUSH) return result;
  while ((flush == RL_FSYNC ? fsync(fd) : fdatasync(fd)) != 0)
    if (errno != EINTR) return -errno;
  return 0;
}

static int prepare(int fd, enum rl_file file) {
  int result = 0;
  if (file == RL_ZERO_FILLED) result = rl_fill(fd, RL_FILLED, 0);
  if (file == RL_ALLOCATED && fallocate(fd, 0, 0, RL_FILLED) != 0) result = -errno;
  if (result == 0 && fsync(fd) != 0) result = -errno;
  return result;
}

int64_t rl_flushes(const char *path, enum rl_flush flush, enum rl_file file, size_t record, int64_t limit,
                   uint64_t most, int64_t *starts, int64_t *latencies) {
  size_t length = flush == RL_DIRECT_DSYNC ? (record + 4095) / 4096 * 4096 : record;
  if (record == 0 || length > RL_FILLED || most == 0) return -EINVAL;
  void *data = rl_memory(length, 0x5a);
  if (!data) return -ENOMEM;
  int fd = rl_create(path, flush == RL_DIRECT_DSYNC ? O_DIRECT : 0);
  if (fd < 0) {
    free(data);
    return fd;
  }
  int result = prepare(fd, file);
  uint64_t done = 0, offset = 0;
  int64_t begin = rl_now(), now = begin;
  while (result == 0 && done < most && now - begin < limit) {
    if (file != RL_GROWING && offset + length > RL_FILLED) offset = 0;
    starts[done] = now - begin;
    result = put(fd, flush, data, length, offset);
    int64_t end = rl_now();
    latencies[done] = end > now ? end - now : 1;
    now = end;
    offset += length;
    if (result == 0) done++;
  }
  close(fd);
  free(data);
  return result != 0 ? result : (int64_t)done;
}
