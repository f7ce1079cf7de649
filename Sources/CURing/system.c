#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "curing.h"

int64_t tl_pwrite(int fd, const void *data, size_t length, int64_t offset, int dsync) {
  struct iovec piece = {.iov_base = (void *)data, .iov_len = length};
  ssize_t result = pwritev2(fd, &piece, 1, offset, dsync ? RWF_DSYNC : 0);
  return result < 0 ? -errno : result;
}

int64_t tl_pread_cached(int fd, void *into, size_t length, int64_t offset) {
  struct iovec piece = {.iov_base = into, .iov_len = length};
  ssize_t result = preadv2(fd, &piece, 1, offset, RWF_NOWAIT);
  return result < 0 ? -errno : result;
}

const int32_t tl_o_direct = O_DIRECT;

int tl_lock(int fd) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  return fcntl(fd, F_OFD_SETLK, &whole) == 0 ? 0 : errno;
}

void tl_unlock(int fd) {
  struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  (void)fcntl(fd, F_OFD_SETLK, &whole);
}

int tl_eventfd(void) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

int tl_wait_readable(int descriptor, int64_t nanoseconds) {
  struct pollfd watched = {.fd = descriptor, .events = POLLIN};
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  return ppoll(&watched, 1, &limit, NULL) == 1;
}
