// Programs in a session of their own, as root in namespaces of their own.
#ifndef TORNLOG_CSPAWN_H
#define TORNLOG_CSPAWN_H

#include <poll.h>
#include <stdint.h>

/// How a program is started. Strings and arrays must live until `tl_spawn` returns.
typedef struct {
  /// Ends with NULL. The first is the path of the program, or a name that is looked for in PATH.
  char *const *arguments;
  char *const *environment;
  /// The folder that it is started in, or NULL for the caller's.
  const char *folder;
  int standard_input;
  /// A file that standard output is opened from, for appending; NULL where `standard_output` is it.
  const char *output_path;
  int standard_output;
  int standard_error;
  /// Namespaces of its own for processes, System V IPC, the network and mounts. Needs root. The loopback interface is up, and
  /// /proc shows its own processes. A shell is its process 1, and ends with it.
  int isolated;
  /// Pairs of folders, ending with NULL: the first of each is seen at the second. Only where `isolated` is set.
  const char *const *binds;
  /// Has the kernel tell of sync(2), syncfs(2) and sync_file_range(2) before they happen: FUSE hears nothing of them.
  int watches_syncs;
} tl_program;

/// A call that a watched program is about to make.
typedef struct {
  uint64_t id;
  int32_t process;
  /// 0 sync, 1 syncfs, 2 sync_file_range.
  int32_t call;
  /// Of the last two.
  int32_t descriptor;
} tl_sync_call;

/// Which step of `tl_spawn` failed, for a message.
const char *tl_spawn_step(int step);
/// Starts a program. The kernel kills it when the calling *thread* ends (`man 2 prctl`, PR_SET_PDEATHSIG). 0, or an errno, with the step that
/// failed.
int tl_spawn(const tl_program *program, int32_t *process, int *descriptor, int *listener, int *failed_step);
/// Waits for the next call of a watched program (`man 2 seccomp_unotify`). 0; -1 once no such program is left.
int tl_next_sync(int listener, tl_sync_call *call);
/// Lets the call happen.
void tl_let_sync(int listener, uint64_t id);
/// As write(2). Who is gone ends nobody: no SIGPIPE comes of it.
long tl_write_to_program(int descriptor, const void *bytes, unsigned long count);
/// As poll(2), for so many nanoseconds.
int tl_poll(struct pollfd *polled, unsigned long count, uint64_t nanoseconds);
/// Waits for a child that `tl_spawn` made: its status as wait(2) has it, or -1 and errno.
int tl_reap(int32_t process);

#endif
