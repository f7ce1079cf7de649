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

// A shell, not a fork: a fork would hold a copy of everything that the caller has in memory. $1 is the folder, $2 whether
// it goes, $3 the caller's process, $4 a file that goes with the mount, or nothing.
//
// A line on the pipe means that all is well; its end without one, that the caller is gone. But a thread of a killed
// caller that waits for its own volume cannot end before that answers, and keeps the pipe open. So the caller is looked at
// every two seconds too: whether it is gone, a zombie (with a thread left), or has SIGKILL pending (bit 8 of SigPnd,
// `man 5 proc`: set in each thread of a process that ends). -f cuts the connection and lets the thread go. `kill 0` ends
// what the shell has started, and the shell, each of which waits for its own.
static const char script[] =
    "clean() {\n"
    "  umount -f \"$1\" 2>/dev/null\n"
    "  umount -l \"$1\" 2>/dev/null || fusermount3 -uz \"$1\" 2>/dev/null\n"
    "  [ \"$2\" = 1 ] && rmdir \"$1\" 2>/dev/null\n"
    "  [ -n \"$3\" ] && rm -f \"$3\"\n"
    "}\n"
    "{\n"
    "  trap 'exit 0' TERM\n"
    "  while true; do\n"
    "    sleep 2 || exit 0\n"
    "    ends=1\n"
    "    while read -r key value; do\n"
    "      ends=${ends#1}\n"
    "      case $key$value in State:[ZX]* | SigPnd:*[13579bdf]?" "?) ends=1 && break ;; esac\n"
    "    done <\"/proc/$3/status\"\n"
    "    [ \"$ends\" = 1 ] && break\n"
    "  done\n"
    "  clean \"$1\" \"$2\" \"$4\"\n"
    "  kill 0\n"
    "} </dev/null &\n"
    "trap 'wait; exit 0' TERM\n"
    "read -r line || clean \"$1\" \"$2\" \"$4\"\n"
    "kill 0\n";

int tl_watchdog_start(const char *directory, int removes, const char *file, int32_t *process, int *descriptor) {
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
  char caller[16];
  snprintf(caller, sizeof caller, "%d", getpid());
  char *words[] = {"sh",  "-c", (char *)script, "tornlog-watchdog", (char *)directory, removes ? "1" : "0", caller,
                   (char *)file, NULL};
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
