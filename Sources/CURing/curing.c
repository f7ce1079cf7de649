#include "curing.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

// Passes an operation through the ring that does nothing. 0, or an errno; ETIMEDOUT where it has not come back within two seconds.
static int probe(struct io_uring *ring) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  if (!sqe) return EBUSY;
  io_uring_prep_nop(sqe);
  sqe->user_data = 0;
  struct __kernel_timespec limit = {.tv_sec = 2};
  struct io_uring_cqe *cqe = NULL;
  int result;
  do result = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);
  while (result == -EINTR);
  if (result == -ETIME || (result >= 0 && !cqe)) return ETIMEDOUT;
  if (result < 0) return -result;
  result = cqe->res;
  io_uring_cqe_seen(ring, cqe);
  return result < 0 ? -result : 0;
}

int tl_probe_ring(void) {
  int error = 0;
  tl_ring *ring = tl_ring_open(8, &error);
  tl_ring_close(ring);
  return error;
}

#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif

struct tl_ring {
  struct io_uring ring;
};

tl_ring *tl_ring_open(unsigned entries, int *error) {
  tl_ring *self = calloc(1, sizeof *self);
  if (!self) {
    *error = ENOMEM;
    return NULL;
  }
  // Kernels before 5.19 refuse the hint with EINVAL; the ring works without them.
  int result = io_uring_queue_init(entries, &self->ring, IORING_SETUP_COOP_TASKRUN);
  if (result == -EINVAL) result = io_uring_queue_init(entries, &self->ring, 0);
  if (result < 0) {
    *error = -result;
    free(self);
    return NULL;
  }
  *error = probe(&self->ring);
  if (*error) {
    tl_ring_close(self);
    return NULL;
  }
  return self;
}

void tl_ring_close(tl_ring *self) {
  if (!self) return;
  io_uring_queue_exit(&self->ring);
  free(self);
}

int tl_ring_register_buffers(tl_ring *self, void *const *bases, const size_t *lengths, unsigned count) {
  struct iovec *vectors = calloc(count, sizeof *vectors);
  if (!vectors) return -ENOMEM;
  for (unsigned i = 0; i < count; i++) {
    vectors[i].iov_base = bases[i];
    vectors[i].iov_len = lengths[i];
  }
  int result = io_uring_register_buffers(&self->ring, vectors, count);
  free(vectors);
  return result;
}

int tl_ring_prepare_write(tl_ring *self, int fd, const void *data, unsigned length, uint64_t offset, int dsync,
                          int buffer_index, uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
  if (!sqe) return -EBUSY;
  if (buffer_index >= 0)
    io_uring_prep_write_fixed(sqe, fd, data, length, offset, buffer_index);
  else
    io_uring_prep_write(sqe, fd, data, length, offset);
  if (dsync) sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = tag;
  return 0;
}

int tl_ring_prepare_read(tl_ring *self, int fd, void *data, unsigned length, uint64_t offset, int buffer_index,
                         uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
  if (!sqe) return -EBUSY;
  if (buffer_index >= 0)
    io_uring_prep_read_fixed(sqe, fd, data, length, offset, buffer_index);
  else
    io_uring_prep_read(sqe, fd, data, length, offset);
  sqe->user_data = tag;
  return 0;
}

int tl_ring_prepare_fsync(tl_ring *self, int fd, int data_only, uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
  if (!sqe) return -EBUSY;
  io_uring_prep_fsync(sqe, fd, data_only ? IORING_FSYNC_DATASYNC : 0);
  sqe->user_data = tag;
  return 0;
}

int tl_ring_prepare_write_then_fsync(tl_ring *self, int fd, const void *data, unsigned length, uint64_t offset,
                                     int buffer_index, int data_only, uint64_t write_tag, uint64_t sync_tag) {
  // A chain ends with the batch that it is submitted in.
  if (io_uring_sq_space_left(&self->ring) < 2) return -EBUSY;
  int result = tl_ring_prepare_write(self, fd, data, length, offset, 0, buffer_index, write_tag);
  if (result) return result;
  self->ring.sq.sqes[(self->ring.sq.sqe_tail - 1) & *self->ring.sq.kring_mask].flags |= IOSQE_IO_LINK;
  return tl_ring_prepare_fsync(self, fd, data_only, sync_tag);
}

int tl_ring_descriptor(const tl_ring *self) { return self->ring.ring_fd; }

int tl_ring_prepare_poll(tl_ring *self, int fd, uint64_t tag) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
  if (!sqe) return -EBUSY;
  io_uring_prep_poll_add(sqe, fd, 1 /* POLLIN */);
  sqe->user_data = tag;
  return 0;
}

int tl_ring_submit(tl_ring *self) { return io_uring_submit(&self->ring); }

int tl_ring_submit_and_wait(tl_ring *self, int64_t timeout_ns) {
  struct io_uring_cqe *cqe = NULL;
  if (timeout_ns < 0) {
    int result = io_uring_submit_and_wait(&self->ring, 1);
    return result < 0 ? result : 0;
  }
  struct __kernel_timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  int result = io_uring_submit_and_wait_timeout(&self->ring, &cqe, 1, &limit, NULL);
  return result < 0 ? result : 0;
}

void tl_ring_forget_timed_waits(tl_ring *self) { self->ring.features &= ~IORING_FEAT_EXT_ARG; }

unsigned tl_ring_reap(tl_ring *self, tl_completion *into, unsigned capacity) {
  struct io_uring_cqe *cqe;
  unsigned head, count = 0, seen = 0;
  io_uring_for_each_cqe(&self->ring, head, cqe) {
    if (count == capacity) break;
    seen++;
    // Of a wait with a limit, as liburing makes it for kernels before 5.11: nobody's operation.
    if (cqe->user_data == LIBURING_UDATA_TIMEOUT) continue;
    into[count].tag = cqe->user_data;
    into[count].result = cqe->res;
    count++;
  }
  io_uring_cq_advance(&self->ring, seen);
  return count;
}
