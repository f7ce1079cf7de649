// A mount that ends with the process that made it, however that ends.
#ifndef TORNLOG_CWATCHDOG_H
#define TORNLOG_CWATCHDOG_H

#include <stdint.h>

/// Starts a process that waits until the calling process is gone, unmounts `directory` lazily, and removes the folder
/// where `removes`, and `file` where that is not empty. It runs in a session of its own, so that no terminal's signal
/// reaches it, and holds no descriptor but its end of a pipe and /dev/null. `*descriptor` is the other end, which no
/// child of the caller inherits over exec. 0, or an errno.
int tl_watchdog_start(const char *directory, int removes, const char *file, int32_t *process, int *descriptor);
/// Ends it without any effect, and waits for it.
void tl_watchdog_end(int32_t process, int descriptor);
/// `man 2 umount2`: 0, or an errno. `how`: 0 plain, 1 MNT_FORCE (for FUSE: cuts the connection), 2 MNT_DETACH.
int tl_unmount(const char *directory, int how);
/// Unmounts what fusermount3 mounted; `is_lazy`: although somebody has it open. 0, or EBUSY.
int tl_unmount_by_helper(const char *directory, int is_lazy);

#endif
