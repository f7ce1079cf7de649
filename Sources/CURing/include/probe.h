// Small questions to the kernel whose constants Swift's Glibc module does not export (O_DIRECT).
#ifndef TORNLOG_PROBE_H
#define TORNLOG_PROBE_H

/// Opens a ring of 8 entries, passes one operation through it, and closes it. 0, or an errno: ENOSYS (no io_uring), EPERM (seccomp or
/// kernel.io_uring_disabled), ENOMEM (RLIMIT_MEMLOCK, kernels before 5.12), ETIMEDOUT (the operation did not come back).
int tl_probe_ring(void);

/// Creates `path` (which must not exist), unlinks it and writes one block of zeros with O_DIRECT, in units of 512
/// bytes and, where that is refused, 4096. `*unit` gets the unit that was taken, or 0. Returns 0 or an errno: EINVAL
/// where direct I/O is refused.
int tl_probe_direct(const char *path, int *unit);

#endif
