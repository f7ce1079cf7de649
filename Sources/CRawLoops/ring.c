#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crawloops.h"
#include "rawfile.h"

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif

struct loop {
  struct io_uring ring;
  int fd;
  char *slots;      // `depth` buffers of `length` bytes
  const char *pool; // the records that are copied into them
  size_t record, length;
  unsigned group, depth, features, next;
};

static void prepare(struct loop *self, unsigned slot, uint64_t offset) {
  char *to = self->slots + (size_t)slot * self->length;
  for (unsigned i = 0; i < self->group; i++) {
    memcpy(to + i * self->record, self->pool + (size_t)self->next * self->record, self->record);
    if (++self->next == RL_POOL) self->next = 0;
  }
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);  // never NULL: the queue has `depth` entries
  int file = self->features & RL_REGISTERED_FILE ? 0 : self->fd;
  if (self->features & RL_REGISTERED_BUFFER)
    io_uring_prep_write_fixed(sqe, file, to, (unsigned)self->length, offset, 0);
  else
    io_uring_prep_write(sqe, file, to, (unsigned)self->length, offset);
  if (self->features & RL_REGISTERED_FILE) sqe->flags |= IOSQE_FIXED_FILE;
  sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = slot;
}

static int64_t run(struct loop *self, uint64_t writes) {
  uint64_t started = 0, finished = 0;
  int64_t error = 0, start = rl_now();
  for (unsigned slot = 0; slot < self->depth && started < writes; slot++) prepare(self, slot, started++ * self->length);
  while (finished < started) {
    int result = io_uring_submit_and_wait(&self->ring, 1);
    if (result < 0 && result != -EINTR) return result;
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, free_slots[256];
    io_uring_for_each_cqe(&self->ring, head, cqe) {
      if (cqe->res < 0)
        error = cqe->res;
      else if ((size_t)cqe->res != self->length)
        error = -EIO;
      free_slots[seen++] = (unsigned)cqe->user_data;
    }
    io_uring_cq_advance(&self->ring, seen);
    finished += seen;
    // After an error nothing more is started; what is in flight is waited for, since it uses the buffers.
    for (unsigned i = 0; i < seen && error == 0 && started < writes; i++)
      prepare(self, free_slots[i], started++ * self->length);
  }
  return error ? error : rl_since(start);
}

// Direct writes need a file whose extents are written; the fill goes through the cache and is dropped from it.
static int open_filled(const char *path, uint64_t bytes) {
  int fd = rl_create(path, O_DIRECT);
  if (fd < 0) return fd;
  int flags = fcntl(fd, F_GETFL);
  int result = fcntl(fd, F_SETFL, flags & ~O_DIRECT) != 0 ? -errno : rl_fill(fd, bytes, 0);
  if (result == 0 && fsync(fd) != 0) result = -errno;
  if (result == 0) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (result == 0 && fcntl(fd, F_SETFL, flags) != 0) result = -errno;
  if (result < 0) {
    close(fd);
    return result;
  }
  return fd;
}

static int open_ring(struct loop *self) {
  int result = io_uring_queue_init(self->depth, &self->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN);
  if (result == -EINVAL) result = io_uring_queue_init(self->depth, &self->ring, 0);
  return result;
}

static int64_t attempt(const char *path, size_t record, unsigned group, unsigned depth, uint64_t count, size_t unit,
                       unsigned *features) {
  size_t length = (record * group + unit - 1) / unit * unit;
  struct loop self = {.fd = -1, .record = record, .length = length, .group = group, .depth = depth};
  uint64_t writes = (count + group - 1) / group;
  char *pool = rl_memory(record * RL_POOL, 0x5a);
  self.slots = rl_memory(length * depth, 0);
  self.pool = pool;
  int64_t result = -ENOMEM;
  if (pool && self.slots) result = self.fd = open_filled(path, writes * length);
  if (self.fd >= 0 && (result = open_ring(&self)) == 0) {
    struct iovec vector = {.iov_base = self.slots, .iov_len = length * depth};
    if (io_uring_register_files(&self.ring, &self.fd, 1) == 0) self.features |= RL_REGISTERED_FILE;
    if (io_uring_register_buffers(&self.ring, &vector, 1) == 0) self.features |= RL_REGISTERED_BUFFER;
    if (unit == 512) self.features |= RL_ALIGNED_512;
    result = run(&self, writes);
    io_uring_queue_exit(&self.ring);
  }
  if (self.fd >= 0) close(self.fd);
  free(self.slots);
  free(pool);
  *features = self.features;
  return result;
}

int64_t rl_ring_writes(const char *path, size_t record, unsigned group, unsigned depth, uint64_t count,
                       unsigned *features) {
  *features = 0;
  if (record == 0 || group == 0 || depth == 0 || depth > 256 || count == 0) return -EINVAL;
  int64_t result = attempt(path, record, group, depth, count, 512, features);
  // EINVAL also says that 512 is not a multiple of the logical block size (`man 2 open`, O_DIRECT).
  return result == -EINVAL ? attempt(path, record, group, depth, count, 4096, features) : result;
}
