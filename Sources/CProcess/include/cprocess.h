// System calls about processes that Glibc's headers hide from Swift.
#ifndef TORNLOG_CPROCESS_H
#define TORNLOG_CPROCESS_H

#include "cspawn.h"

/// `pipe2` with O_CLOEXEC: a pipe that no other child inherits. 0, or an errno.
int tl_pipe(int descriptors[2]);
/// `accept4` with SOCK_CLOEXEC: a connection that no child inherits. Its descriptor, or -1 and errno.
int tl_accept(int listener);
/// Has the kernel kill this process when its parent dies (`man 2 prctl`, PR_SET_PDEATHSIG). 0, or an errno.
int tl_die_with_parent(void);
/// Keeps memory that is freed in this process: nothing goes back to the kernel (`man 3 mallopt`).
void tl_keep_freed_memory(void);
/// Gives memory that is free in this process back to the kernel (`man 3 malloc_trim`).
void tl_return_freed_memory(void);
/// Has this process say on standard error, when a signal of its own doing (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP) ends it:
/// `tl_death_report()`, the process that sent the signal (0: nobody), a space, the pages that were mapped, and a new line. It dies of the
/// signal all the same.
void tl_report_deaths(void);
const char *tl_death_report(void);
/// Has this process end with the exit code 69 and a sentence where such a signal comes when it has mapped nearly `limit` bytes.
void tl_explain_deaths(long limit);

/// The symbol of an errno, `ENOENT` (`man 3 strerrorname_np`); null where it has none.
const char *tl_errno_name(int code);

#endif
