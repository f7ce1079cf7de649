// Runs a program under a seccomp filter that answers io_uring_setup with EPERM, as the default profile of most
// containers does; after --enter, io_uring_enter: a ring opens then, and nothing passes through it. What cannot be set up ends with
// 125, as with env(1) and its like.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments) {
  unsigned refused = __NR_io_uring_setup;
  if (count > 1 && strcmp(arguments[1], "--enter") == 0) {
    refused = __NR_io_uring_enter;
    count--, arguments++;
  }
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
  if (count < 2) return 125;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    return 125;
  }
  execv(arguments[1], arguments + 1);
  perror(arguments[1]);
  return 125;
}
