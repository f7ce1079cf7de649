#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

const int32_t tl_direct = O_DIRECT, tl_tmpfile = O_TMPFILE;

static int64_t answer(int64_t result) { return result < 0 ? -errno : result; }

int64_t tl_open_direct(const char *path, int flags) { return answer(open(path, flags | O_DIRECT | O_CLOEXEC, 0644)); }

int64_t tl_write_pieces(int file, const void *bytes, size_t count, int64_t offset, int how) {
  char *base = (char *)bytes;
  size_t third = count / 3;
  struct iovec pieces[3] = {{base, third}, {base + third, third}, {base + 2 * third, count - 2 * third}};
  return answer(pwritev2(file, pieces, 3, offset, how == 1 ? RWF_DSYNC : how == 2 ? RWF_SYNC : 0));
}

int64_t tl_sync_range(int file) { return answer(sync_file_range(file, 0, 0, 7)); }
int64_t tl_sync_file_system(int file) { return answer(syncfs(file)); }
int64_t tl_clone_file(int into, int from) { return answer(ioctl(into, FICLONE, from)); }

int64_t tl_copy_range(int from, int64_t from_offset, int into, int64_t offset, size_t count) {
  loff_t one = from_offset, two = offset;
  return answer(copy_file_range(from, &one, into, &two, count, 0));
}

int64_t tl_seek(int file, int64_t offset, int hole) { return answer(lseek(file, offset, hole ? SEEK_HOLE : SEEK_DATA)); }
int64_t tl_advise_drop(int file) { return answer(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)); }

static int64_t aio(struct iocb *block) {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 4, &context) < 0) return -errno;
  struct io_event event = {0};
  struct iocb *blocks[1] = {block};
  int64_t result = syscall(SYS_io_submit, context, 1, blocks);
  if (result < 0) result = -errno;
  else result = syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 ? event.res : -errno;
  syscall(SYS_io_destroy, context);
  return result;
}

int64_t tl_aio_write(int file, const void *bytes, size_t count, int64_t offset) {
  struct iocb block = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = file, .aio_buf = (uintptr_t)bytes,
                       .aio_nbytes = count, .aio_offset = offset};
  return aio(&block);
}

int64_t tl_aio_sync(int file) {
  struct iocb block = {.aio_lio_opcode = IOCB_CMD_FDSYNC, .aio_fildes = file};
  return aio(&block);
}

int64_t tl_lock_range(int file, int is_ofd, int64_t start, int64_t count) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = count};
  return answer(fcntl(file, is_ofd ? F_OFD_SETLK : F_SETLK, &lock));
}

int64_t tl_flock(int file) { return answer(flock(file, LOCK_EX | LOCK_NB)); }

static int64_t wait_for(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// A page fault waits for the volume with the lock of its process's memory. A process that serves the volume itself, as
// tests do, needs that lock to answer, and both wait for ever: so a child touches the pages. It shares the descriptors,
// for a copy that is closed at its end would flush the file.
static pid_t mapping_child(void) { return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0); }

static volatile uint8_t *store(int file, size_t length, const int64_t *offsets, int count, uint8_t value) {
  volatile uint8_t *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) _exit(errno);
  for (int i = 0; i < count; i++) map[offsets[i]] = value;
  return map;
}

int64_t tl_store_mapped(int file, size_t length, const int64_t *offsets, int count, uint8_t value, int how) {
  pid_t child = mapping_child();
  if (child < 0) return -errno;
  if (child == 0) {
    volatile uint8_t *map = store(file, length, offsets, count, value);
    int result = 0;
    if (how != 0 && msync((void *)map, length, how == 1 ? MS_SYNC : MS_ASYNC) != 0) result = errno;
    munmap((void *)map, length);
    _exit(result);
  }
  int64_t result = wait_for(child);
  return result < 0 ? result : -result;
}

int64_t tl_store_and_stay(int file, size_t length, const int64_t *offsets, int count, uint8_t value) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
  pid_t child = mapping_child();
  if (child == 0) {
    store(file, length, offsets, count, value);
    if (write(ends[1], "s", 1) == 1) {
      while (1) pause();
    }
    _exit(errno);
  }
  int64_t result = child < 0 ? -errno : child;
  if (child > 0) {
    // The write end is open here too, for the table is shared: a child that ends without a word is seen by waiting.
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    int status;
    while (poll(&ready, 1, 10) == 0) {
      if (waitpid(child, &status, WNOHANG) == child) {
        result = WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
        break;
      }
    }
  }
  close(ends[0]);
  close(ends[1]);
  return result;
}

int64_t tl_end_child(int64_t child) { return kill((pid_t)child, SIGKILL) != 0 ? -errno : wait_for((pid_t)child); }

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un made = {.sun_family = AF_UNIX};
  snprintf(made.sun_path, sizeof made.sun_path, "%s", path);
  return made;
}

int64_t tl_listen(const char *path) {
  struct sockaddr_un where = address(path);
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(made, (void *)&where, sizeof where) != 0 || listen(made, 1) != 0) return -errno;
  return made;
}

int64_t tl_connect(const char *path) {
  struct sockaddr_un where = address(path);
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(made, (void *)&where, sizeof where) != 0) return -errno;
  return made;
}

int64_t tl_set_attribute(const char *path, const char *name, const char *value, int flags) {
  return answer(lsetxattr(path, name, value, strlen(value), flags));
}

int64_t tl_get_attribute(const char *path, const char *name, char *into, size_t capacity) {
  return answer(lgetxattr(path, name, into, capacity));
}

int64_t tl_list_attributes(const char *path, char *into, size_t capacity) {
  return answer(llistxattr(path, into, capacity));
}

int64_t tl_remove_attribute(const char *path, const char *name) { return answer(lremovexattr(path, name)); }

int64_t tl_link_open_file(int file, const char *path) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", file);
  return answer(linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

int64_t tl_as_user(unsigned id, const char *path, int flags) {
  pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setgid, id) != 0 || syscall(SYS_setuid, id) != 0) _exit(255);
    int file = open(path, flags, 0644);
    _exit(file < 0 ? errno : 0);
  }
  return wait_for(child);
}

int64_t tl_store_and_die(const char *path, int64_t offset, uint8_t value) {
  pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    int file = open(path, O_RDWR);
    volatile uint8_t *map = mmap(NULL, offset + 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) _exit(1);
    map[offset] = value;
    kill(getpid(), SIGKILL);
  }
  return wait_for(child);
}

// Each returns 0, or an errno.
int tl_fallocate(int file, int mode, int64_t offset, int64_t length) {
  return fallocate(file, mode, offset, length) == 0 ? 0 : errno;
}

int tl_rename(const char *from, const char *to, unsigned flags) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
}
