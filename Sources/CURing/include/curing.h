// The only window on <liburing.h>: Swift sees plain functions and opaque pointers, which avoids the clash of
// liburing's feature macros with the Glibc module and keeps liburing's inline functions out of Swift.
#ifndef TORNLOG_CURING_H
#define TORNLOG_CURING_H

#include <stddef.h>
#include <stdint.h>

#include "probe.h"

typedef struct tl_ring tl_ring;

typedef struct tl_completion {
  uint64_t tag;
  int32_t result;
} tl_completion;

/// Opens a ring with `entries` submission slots, and passes one operation through it that does nothing (`man 3 io_uring_prep_nop`): a
/// filter may permit the one and refuse the other. Returns NULL and sets `*error` to an errno on failure; it takes two seconds at the most.
tl_ring *tl_ring_open(unsigned entries, int *error);
void tl_ring_close(tl_ring *ring);
/// The ring's descriptor: readable while completions are ready.
int tl_ring_descriptor(const tl_ring *ring);

/// Registers buffers with the ring; 0, or a negative errno (-ENOMEM where RLIMIT_MEMLOCK is too low).
int tl_ring_register_buffers(tl_ring *ring, void *const *bases, const size_t *lengths, unsigned count);

/// Each prepares one submission; 0, or -EBUSY when the submission queue is full (submit, then try again).
/// `buffer_index` < 0 means an unregistered buffer. `dsync` asks for RWF_DSYNC.
int tl_ring_prepare_write(tl_ring *ring, int fd, const void *data, unsigned length, uint64_t offset, int dsync,
                          int buffer_index, uint64_t tag);
int tl_ring_prepare_read(tl_ring *ring, int fd, void *data, unsigned length, uint64_t offset, int buffer_index,
                         uint64_t tag);
int tl_ring_prepare_fsync(tl_ring *ring, int fd, int data_only, uint64_t tag);
/// Two submissions, of which the second starts once the first has written all of its bytes, and is cancelled (-ECANCELED)
/// where it has not (IOSQE_IO_LINK).
int tl_ring_prepare_write_then_fsync(tl_ring *ring, int fd, const void *data, unsigned length, uint64_t offset,
                                     int buffer_index, int data_only, uint64_t write_tag, uint64_t sync_tag);
int tl_ring_prepare_poll(tl_ring *ring, int fd, uint64_t tag);

/// Submits what is prepared, without waiting. Number submitted, or a negative errno.
int tl_ring_submit(tl_ring *ring);
/// Submits and waits for one completion or `timeout_ns` (< 0: no limit). 0, or a negative errno (-ETIME, -EINTR).
int tl_ring_submit_and_wait(tl_ring *ring, int64_t timeout_ns);
/// Has waits with a limit made as for a kernel before 5.11, which has none: by an operation that completes when time is up.
void tl_ring_forget_timed_waits(tl_ring *ring);
/// Takes up to `capacity` completions that are ready. `tag` is never UINT64_MAX, which is liburing's own.
unsigned tl_ring_reap(tl_ring *ring, tl_completion *into, unsigned capacity);

/// `pwritev2` of one buffer, with RWF_DSYNC where `dsync`; bytes written, or a negative errno.
int64_t tl_pwrite(int fd, const void *data, size_t length, int64_t offset, int dsync);

/// `preadv2` with RWF_NOWAIT: only what the page cache holds. Bytes read, fewer than `length` where the rest is not cached
/// or the file ends, or a negative errno (-EAGAIN: nothing is cached; -EOPNOTSUPP: the file system cannot tell).
int64_t tl_pread_cached(int fd, void *into, size_t length, int64_t offset);

/// An exclusive open-file-description lock on the whole file, without waiting; 0, or an errno (EAGAIN: somebody has it).
int tl_lock(int fd);

/// Ends it. Closing a descriptor does not while a process that was forked meanwhile holds a copy, up to its `exec`.
void tl_unlock(int fd);

/// O_DIRECT, which Glibc's headers hide from Swift.
extern const int32_t tl_o_direct;
/// A non-blocking eventfd, or a negative errno.
int tl_eventfd(void);

/// Waits until `descriptor` can be read or `nanoseconds` have passed (`man 2 ppoll`). 1 where it can be read.
int tl_wait_readable(int descriptor, int64_t nanoseconds);

/// The XSI `strerror_r`, which Glibc's headers hide under _GNU_SOURCE. 0, or an errno.
int tl_strerror(int error, char *into, size_t capacity);

#endif
