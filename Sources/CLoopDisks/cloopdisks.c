#include <sys/xattr.h>
#include <linux/btrfs.h>
#include "cloopdisks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int tl_private_mounts(void) {
  if (unshare(CLONE_NEWNS) != 0) return -errno;
  return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : -errno;
}

int tl_memory_file(const char *name) {
  int file = memfd_create(name, MFD_CLOEXEC);
  return file >= 0 ? file : -errno;
}

int tl_loop_attach(int file, char *path, int capacity) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -errno;
  int result = -EBUSY;
  // Somebody else may take the free device first.
  for (int tries = 0; tries < 64 && result == -EBUSY; tries++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      result = -errno;
      break;
    }
    snprintf(path, capacity, "/dev/loop%d", number);
    int device = open(path, O_RDWR | O_CLOEXEC);
    if (device < 0) {
      result = -errno;
      break;
    }
    struct loop_config config;
    memset(&config, 0, sizeof config);
    config.fd = file;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      result = device;
    } else {
      result = -errno;
      close(device);
    }
  }
  close(control);
  return result;
}

int tl_clone(int from, int to) { return ioctl(to, FICLONE, from) == 0 ? 0 : -errno; }

int tl_commit(int file) { return syncfs(file) == 0 ? 0 : -errno; }

int tl_start_writeback(int file) { return sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE) == 0 ? 0 : -errno; }

int tl_write_back(int file, long offset, long length) {
  unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return sync_file_range(file, offset, length, flags) == 0 ? 0 : -errno;
}

int tl_btrfs_commit(int file) {
  __u64 transaction = 0;
  if (ioctl(file, BTRFS_IOC_START_SYNC, &transaction) != 0) return -errno;
  return ioctl(file, BTRFS_IOC_WAIT_SYNC, &transaction) == 0 ? 0 : -errno;
}

int tl_allocate(int file, int mode, long offset, long length) {
  return fallocate(file, mode, offset, length) == 0 ? 0 : -errno;
}

int tl_exchange(const char *path, const char *other) {
  return renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE) == 0 ? 0 : -errno;
}

long tl_write_durable(int file, const void *bytes, unsigned long count, long offset, int full) {
  struct iovec piece = {(void *)bytes, count};
  long done = pwritev2(file, &piece, 1, offset, full ? RWF_SYNC : RWF_DSYNC);
  return done >= 0 ? done : -errno;
}

int tl_rename_at(int folder, const char *path, const char *other, int exchange) {
  return renameat2(folder, path, folder, other, exchange ? RENAME_EXCHANGE : 0) == 0 ? 0 : -errno;
}

int tl_no_umask(void) {
  if (unshare(CLONE_FS) != 0) return -errno;
  umask(0);
  return 0;
}

void tl_make_files_as(unsigned user, unsigned group) {
  setfsgid(group);
  setfsuid(user);
}

int tl_put_attribute(const char *path, const char *name, const char *value) {
  return setxattr(path, name, value, strlen(value), 0) == 0 ? 0 : -errno;
}

int tl_put_bytes_attribute(const char *path, const char *name, const void *value, unsigned long length) {
  return setxattr(path, name, value, length, 0) == 0 ? 0 : -errno;
}

int tl_drop_attribute(const char *path, const char *name) { return removexattr(path, name) == 0 ? 0 : -errno; }
