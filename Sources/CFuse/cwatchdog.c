#include "cwatchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

// A shell, not a fork: a fork would hold a copy of everything that the caller has in memory. A line on the pipe means
// that all is well; its end without one, that the caller is gone.
static const char script[] =
    "read -r line && exit 0\n"
    "umount -l \"$1\" 2>/dev/null || fusermount3 -u -z \"$1\" 2>/dev/null\n"
    "[ \"$2\" = 1 ] && rmdir \"$1\" 2>/dev/null\n"
    "exit 0\n";

int tl_watchdog_start(const char *directory, int removes, int32_t *process, int *descriptor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, ends[0], 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  // In its folder it would keep that busy.
  posix_spawn_file_actions_addchdir_np(&files, "/");
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char *words[] = {"sh", "-c", (char *)script, "tornlog-watchdog", (char *)directory, removes ? "1" : "0", NULL};
  char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  int error = posix_spawn(process, "/bin/sh", &files, &attributes, words, environment);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(ends[0]);
  if (error) close(ends[1]);
  else *descriptor = ends[1];
  return error;
}

void tl_watchdog_end(int32_t process, int descriptor) {
  // It may have been killed: then the line has no reader, and the write's SIGPIPE must not end the caller.
  sigset_t pipe_signal, before, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  if (write(descriptor, "well\n", 5) < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
    struct timespec at_once = {0};
    sigtimedwait(&pipe_signal, NULL, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(descriptor);
  int status;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
}

int tl_unmount(const char *directory, int how) {
  int flags = how == 1 ? MNT_FORCE : how == 2 ? MNT_DETACH : 0;
  return umount2(directory, flags) == 0 ? 0 : errno;
}

int tl_unmount_by_helper(const char *directory, int is_lazy) {
  // It says on standard error that the folder is busy, which is no news.
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  char *words[] = {"fusermount3", is_lazy ? "-uz" : "-u", "--", (char *)directory, NULL};
  pid_t process;
  int status, error = posix_spawnp(&process, words[0], &files, NULL, words, environ);
  posix_spawn_file_actions_destroy(&files);
  if (error) return error;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EBUSY;
}
