#include "cprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int tl_pipe(int descriptors[2]) { return pipe2(descriptors, O_CLOEXEC) == 0 ? 0 : errno; }

const char *tl_errno_name(int code) { return strerrorname_np(code); }

int tl_accept(int listener) { return accept4(listener, 0, 0, SOCK_CLOEXEC); }

int tl_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? 0 : errno; }

void tl_keep_freed_memory(void) {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
}

void tl_return_freed_memory(void) { malloc_trim(0); }

static const char death_report[] = "tornlog-death: ";

const char *tl_death_report(void) { return death_report; }

/// Appends a number; returns the end of the text.
static char *put(char *at, long value) {
  char digits[24];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  while (count > 0) *at++ = digits[--count];
  return at;
}

/// Pages that this process has mapped; 0 where nobody says (`man 5 proc_pid_statm`).
static long mapped_pages(void) {
  char text[64];
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, text, sizeof text);
  close(file);
  long pages = 0;
  for (ssize_t i = 0; i < count && text[i] >= '0' && text[i] <= '9'; i++) pages = pages * 10 + (text[i] - '0');
  return pages;
}

// Everything below runs in a signal handler: nothing but what `man 7 signal-safety` permits.

static void die_of(int number) {
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  raise(number);
}

static void report_death(int number, siginfo_t *info, void *context) {
  (void)context;
  char line[96];
  char *at = line;
  for (const char *c = death_report; *c; c++) *at++ = *c;
  // A code that is positive is the kernel's own (`man 2 sigaction`): nobody has sent the signal.
  at = put(at, info->si_code <= 0 && info->si_pid != getpid() ? info->si_pid : 0);
  *at++ = ' ';
  at = put(at, mapped_pages());
  *at++ = '\n';
  ssize_t written = write(2, line, (size_t)(at - line));
  (void)written;
  die_of(number);
}

static long memory_limit;

static void explain_death(int number, siginfo_t *info, void *context) {
  (void)info, (void)context;
  static const char text[] =
      "tornlog: there is no more memory: raise the limits with ulimit -v and ulimit -d, lower --jobs, or ask for less\n";
  // What could not be had is not known: an eighth of all that there may be is near enough to the end.
  if (mapped_pages() * sysconf(_SC_PAGESIZE) >= memory_limit - memory_limit / 8) {
    ssize_t written = write(2, text, sizeof text - 1);
    (void)written;
    _exit(69);
  }
  die_of(number);
}

static void watch_deaths(void (*handler)(int, siginfo_t *, void *)) {
  // A stack that has overflowed has no room for a handler.
  static char stack[16384];
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&other, NULL);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
  sigset_t watched;
  sigemptyset(&watched);
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    sigaction(signals[i], &action, NULL);
    sigaddset(&watched, signals[i]);
  }
  // Threads of some libraries block signals, SIGABRT among them, and so do the processes that they start: it would wait for ever.
  sigprocmask(SIG_UNBLOCK, &watched, NULL);
}

void tl_report_deaths(void) { watch_deaths(report_death); }

void tl_explain_deaths(long limit) {
  memory_limit = limit;
  watch_deaths(explain_death);
}
