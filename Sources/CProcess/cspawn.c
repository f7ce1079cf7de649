#include "cspawn.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEP_CLONE, STEP_MOUNTS, STEP_BIND, STEP_PROC, STEP_NETWORK, STEP_FOLDER, STEP_OUTPUT, STEP_DESCRIPTORS, STEP_WATCH, STEP_EXEC };

const char *tl_spawn_step(int step) {
  static const char *const names[] = {
      "clone",
      "making the mounts private",
      "binding a folder",
      "mounting /proc",
      "starting the loopback interface",
      "changing to the folder",
      "opening standard output",
      "setting up the descriptors",
      "having the kernel tell of sync(2) (seccomp)",
      "exec",
  };
  return names[step];
}

typedef struct {
  const tl_program *program;
  /// What the child tells: it shares the caller's memory until exec.
  volatile int error;
  volatile int step;
  /// Where the child sends the descriptor that tells of its syncs.
  int channel;
  /// Whether the child has a network of its own.
  int owns_network;
} start;

static int failed(start *self, int step) {
  self->step = step;
  self->error = errno ? errno : EIO;
  _exit(127);
}

static int loopback_up(void) {
  int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  int code = ioctl(socket_, SIOCGIFFLAGS, &request);
  if (code == 0) {
    request.ifr_flags |= IFF_UP;
    code = ioctl(socket_, SIOCSIFFLAGS, &request);
  }
  close(socket_);
  return code;
}

/// Puts a descriptor where it belongs, also where it is there already.
static int place(int from, int to) {
  if (from == to) return fcntl(to, F_SETFD, 0);
  return dup2(from, to);
}

static int isolate(start *self) {
  const tl_program *program = self->program;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return failed(self, STEP_MOUNTS);
  // Where /proc is not to be had (a container's is masked) programs live with the caller's.
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0 && errno != EPERM) {
    return failed(self, STEP_PROC);
  }
  for (const char *const *bind = program->binds; bind && *bind; bind += 2) {
    // What hides a file of /proc makes a program see another machine: nice to have.
    int is_needed = strncmp(bind[1], "/proc/", 6) != 0;
    if (mount(bind[0], bind[1], NULL, MS_BIND, NULL) != 0 && is_needed) return failed(self, STEP_BIND);
  }
  if (self->owns_network && loopback_up() != 0) return failed(self, STEP_NETWORK);
  return 0;
}

/// The descriptor of a filter that asks somebody else about some calls, and lets all others happen.
static int sync_listener(void) {
#if defined(__x86_64__)
  const unsigned architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  const unsigned architecture = AUDIT_ARCH_AARCH64;
#else
#error "the number of this architecture for seccomp is missing"
#endif
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_syncfs, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync_file_range, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};
  // Without root a filter needs this, and set-user-ID programs do not work below it.
  if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

typedef union {
  struct cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
} one_descriptor;

static int send_descriptor(int channel, int descriptor) {
  one_descriptor control = {0};
  char byte = 0;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  struct cmsghdr *first = CMSG_FIRSTHDR(&message);
  first->cmsg_level = SOL_SOCKET;
  first->cmsg_type = SCM_RIGHTS;
  first->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(first), &descriptor, sizeof descriptor);
  return sendmsg(channel, &message, 0) == 1 ? 0 : -1;
}

static int receive_descriptor(int channel) {
  one_descriptor control = {0};
  char byte;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) return -1;
  struct cmsghdr *first = CMSG_FIRSTHDR(&message);
  if (!first || first->cmsg_type != SCM_RIGHTS) return -1;
  int descriptor;
  memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
  return descriptor;
}

/// Runs on a stack of its own in the caller's memory while the caller's thread waits, until exec or _exit.
static int child(void *argument) {
  start *self = argument;
  const tl_program *program = self->program;
  errno = 0;
  // Handlers are the caller's: none of them may run here.
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL) {
      memset(&action, 0, sizeof action);
      action.sa_handler = SIG_DFL;
      sigaction(number, &action, NULL);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  if (program->isolated) isolate(self);
  if (program->folder && chdir(program->folder) != 0) return failed(self, STEP_FOLDER);
  int output = program->standard_output;
  if (program->output_path) {
    output = open(program->output_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (output < 0) return failed(self, STEP_OUTPUT);
  }
  // Copies above the first three, so that none is lost where they cross.
  int in = fcntl(program->standard_input, F_DUPFD_CLOEXEC, 3);
  int out = fcntl(output, F_DUPFD_CLOEXEC, 3);
  int err = fcntl(program->standard_error, F_DUPFD_CLOEXEC, 3);
  if (in < 0 || out < 0 || err < 0) return failed(self, STEP_DESCRIPTORS);
  if (place(in, 0) < 0 || place(out, 1) < 0 || place(err, 2) < 0) return failed(self, STEP_DESCRIPTORS);
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return failed(self, STEP_DESCRIPTORS);
  if (program->watches_syncs) {
    int listener = sync_listener();
    if (listener < 0 || send_descriptor(self->channel, listener) != 0) return failed(self, STEP_WATCH);
    close(listener);
  }
  execvpe(program->arguments[0], program->arguments, program->environment);
  return failed(self, STEP_EXEC);
}

int tl_spawn(const tl_program *program, int32_t *process, int *descriptor, int *listener, int *failed_step) {
  enum { STACK = 256 << 10 };
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) {
    *failed_step = STEP_CLONE;
    return errno;
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    *failed_step = STEP_DESCRIPTORS;
    int code = errno;
    munmap(stack, STACK);
    return code;
  }
  start self = {.program = program, .error = 0, .channel = ends[1]};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  // A container may not let a network be set up: then programs share the caller's.
  static volatile int shares_network;
  int watched = -1, made, code;
  while (1) {
    self.owns_network = program->isolated && !shares_network;
    int own = flags;
    if (program->isolated) own |= CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS;
    if (self.owns_network) own |= CLONE_NEWNET;
    self.error = 0;
    made = clone(child, stack + STACK, own, &self, &watched);
    code = made < 0 ? errno : self.error;
    if (made < 0 || code == 0 || self.step != STEP_NETWORK) break;
    shares_network = 1;
    waitpid(made, NULL, 0);
    close(watched);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  munmap(stack, STACK);
  *listener = code == 0 && program->watches_syncs ? receive_descriptor(ends[0]) : -1;
  close(ends[0]);
  close(ends[1]);
  if (code != 0) {
    *failed_step = made < 0 ? STEP_CLONE : self.step;
    if (made > 0) {
      waitpid(made, NULL, 0);
      close(watched);
    }
    return code;
  }
  fcntl(watched, F_SETFD, FD_CLOEXEC);
  *process = made;
  *descriptor = watched;
  return 0;
}

int tl_reap(int32_t process) {
  int status = 0;
  pid_t found;
  do found = waitpid(process, &status, 0);
  while (found < 0 && errno == EINTR);
  return found < 0 ? -1 : status;
}

int tl_poll(struct pollfd *polled, unsigned long count, uint64_t nanoseconds) {
  const uint64_t second = 1000000000;
  struct timespec limit = {.tv_sec = (time_t)(nanoseconds / second), .tv_nsec = (long)(nanoseconds % second)};
  return ppoll(polled, count, &limit, NULL);
}

long tl_write_to_program(int descriptor, const void *bytes, unsigned long count) {
  sigset_t pipe_signal, before, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  long written;
  do written = write(descriptor, bytes, count);
  while (written < 0 && errno == EINTR);
  int code = errno;
  if (written < 0 && code == EPIPE && !sigismember(&pending, SIGPIPE)) {
    struct timespec now = {0};
    sigtimedwait(&pipe_signal, NULL, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = code;
  return written;
}

int tl_next_sync(int listener, tl_sync_call *call) {
  while (1) {
    struct pollfd polled = {.fd = listener, .events = POLLIN};
    if (poll(&polled, 1, -1) < 0 && errno != EINTR) return -1;
    if (polled.revents & POLLHUP) return -1;
    if (!(polled.revents & POLLIN)) continue;
    struct seccomp_notif asked;
    memset(&asked, 0, sizeof asked);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      // Who asked is gone.
      if (errno == ENOENT || errno == EINTR) continue;
      return -1;
    }
    call->id = asked.id;
    call->process = (int32_t)asked.pid;
    call->call = asked.data.nr == SYS_sync ? 0 : asked.data.nr == SYS_syncfs ? 1 : 2;
    call->descriptor = (int32_t)asked.data.args[0];
    return 0;
  }
}

void tl_let_sync(int listener, uint64_t id) {
  struct seccomp_notif_resp answer;
  memset(&answer, 0, sizeof answer);
  answer.id = id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
