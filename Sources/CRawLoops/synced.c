#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "crawloops.h"
#include "rawfile.h"

int64_t rl_synced_writes(const char *path, enum rl_file file, size_t record, uint64_t count) {
  if (record == 0 || count == 0) return -EINVAL;
  void *data = rl_memory(record, 0x5a);
  if (!data) return -ENOMEM;
  int fd = rl_create(path, 0);
  if (fd < 0) {
    free(data);
    return fd;
  }
  int64_t result = file == RL_ZERO_FILLED ? rl_fill(fd, record * count, 0) : 0;
  if (result == 0 && fsync(fd) != 0) result = -errno;
  if (result == 0) {
    int64_t start = rl_now();
    for (uint64_t i = 0; i < count && result == 0; i++) {
      result = rl_pwrite_all(fd, data, record, i * record);
      while (result == 0 && fdatasync(fd) != 0)
        if (errno != EINTR) result = -errno;
    }
    if (result == 0) result = rl_since(start);
  }
  close(fd);
  free(data);
  return result;
}
