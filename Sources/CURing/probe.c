#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tl_probe_direct(const char *path, int *unit) {
  *unit = 0;
  void *block = NULL;
  if (posix_memalign(&block, 4096, 4096) != 0) return ENOMEM;
  memset(block, 0, 4096);
  int error = 0;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0600);
  if (fd < 0) error = errno;
  // A file system that refuses O_DIRECT may have created the file before it said so (`man 2 open`).
  if ((fd >= 0 || error == EINVAL) && unlink(path) != 0 && fd >= 0) error = errno;
  if (fd >= 0 && error == 0) {
    if (pwrite(fd, block, 512, 0) == 512)
      *unit = 512;
    else if (pwrite(fd, block, 4096, 0) == 4096)
      *unit = 4096;
    else
      error = errno ? errno : EIO;
  }
  if (fd >= 0) close(fd);
  free(block);
  return error;
}
