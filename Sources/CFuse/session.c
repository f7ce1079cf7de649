#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_log.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

static _Thread_local const struct fuse_in_header *current;
static _Thread_local int retires;

static char said[256];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_what_is_said(enum fuse_log_level level, const char *format, va_list arguments) {
  if (level > FUSE_LOG_WARNING) return;
  pthread_mutex_lock(&said_lock);
  vsnprintf(said, sizeof said, format, arguments);
  said[strcspn(said, "\n")] = 0;
  pthread_mutex_unlock(&said_lock);
}

const char *tl_session_said(void) { return said; }

tl_session *tl_session_open(const tl_operations *operations, void *volume, int keeps_cache, int hears_opens) {
  tl_session *self = calloc(1, sizeof *self);
  if (!self) return NULL;
  *self = (tl_session){.operations = operations, .volume = volume, .keeps_cache = keeps_cache,
                       .hears_opens = hears_opens, .descriptor = -1};
  fuse_set_log_func(keep_what_is_said);
  char *words[] = {"tornlog", "-o", "default_permissions,fsname=tornlog,subtype=tornlog", NULL};
  struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
  self->fuse = fuse_session_new(&arguments, &tl_callbacks, sizeof tl_callbacks, self);
  fuse_opt_free_args(&arguments);
  if (self->fuse) return self;
  free(self);
  return NULL;
}

// The answer to INIT is changed on its way. libfuse 3.14 cannot ask for FUSE_HANDLE_KILLPRIV_V2, without which the
// kernel asks for the attribute security.capability before each write (`cap_inode_need_killpriv`; S_NOSEC in
// `fs/fuse/inode.c`). The other way to end these questions, ENOSYS to one of them, takes all extended attributes away
// (`no_getxattr`).
static ssize_t send_answer(int descriptor, struct iovec *pieces, int count, void *userdata) {
  (void)userdata;
  if (current && current->opcode == FUSE_INIT && count == 2 && pieces[1].iov_len >= 24) {
    const struct fuse_init_in *asked = (const void *)(current + 1);
    struct fuse_init_out *answer = pieces[1].iov_base;
    if (asked->flags & FUSE_HANDLE_KILLPRIV_V2) answer->flags |= FUSE_HANDLE_KILLPRIV_V2;
  }
  return writev(descriptor, pieces, count);
}

static ssize_t take_request(int descriptor, void *into, size_t capacity, void *userdata) {
  (void)userdata;
  return read(descriptor, into, capacity);
}

static int mount_as_root(const char *directory, int *has_device) {
  int descriptor = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  *has_device = descriptor >= 0;
  if (descriptor < 0) return -errno;
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
           descriptor);
  if (mount("tornlog", directory, "fuse.tornlog", MS_NOSUID | MS_NODEV, options) == 0) return descriptor;
  int error = errno;
  close(descriptor);
  return -error;
}

int tl_session_mount(tl_session *self, const char *directory, int *has_device) {
  *has_device = 1;
  int descriptor;
  if (geteuid() == 0) {
    descriptor = mount_as_root(directory, has_device);
    if (descriptor < 0) return -descriptor;
  } else {
    errno = 0;
    if (fuse_session_mount(self->fuse, directory) != 0) return errno ? errno : EPERM;
    descriptor = fuse_session_fd(self->fuse);
  }
  static const struct fuse_custom_io io = {.writev = send_answer, .read = take_request};
  self->descriptor = descriptor;
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  return fuse_session_custom_io(self->fuse, &io, descriptor) == 0 ? 0 : EINVAL;
}

void tl_session_close(tl_session *self) {
  fuse_session_destroy(self->fuse);
  free(self);
}

int tl_session_forget_cache(tl_session *self, uint64_t inode) {
  return -fuse_lowlevel_notify_inval_inode(self->fuse, inode, 0, 0);
}

int tl_session_forget_name(tl_session *self, uint64_t directory, const void *name, size_t count) {
  return -fuse_lowlevel_notify_inval_entry(self->fuse, directory, name, count);
}

// FUSE_TMPFILE, opcode 51, which libfuse 3.14 does not know: open(2) with O_TMPFILE. Arguments and answer are those
// of CREATE.
static void make_unnamed(tl_session *self) {
  const struct fuse_create_in *asked = (const void *)(current + 1);
  tl_caller caller = {.thread = current->pid, .user = current->uid, .group = current->gid};
  tl_handle handle = {.flags = asked->flags};
  tl_status made = {0};
  int error =
      self->operations->create(self->volume, caller, current->nodeid, NULL, asked->mode, &handle, &made);
  struct {
    struct fuse_out_header header;
    struct fuse_entry_out entry;
    struct fuse_open_out opened;
  } answer = {.header = {.unique = current->unique, .error = -error}};
  answer.header.len = error ? sizeof answer.header : sizeof answer;
  answer.entry = (struct fuse_entry_out){
      .nodeid = made.inode, .entry_valid = TL_BELIEVED, .attr_valid = TL_BELIEVED,
      .attr = {.ino = made.inode, .size = made.size, .blocks = made.blocks, .atime = made.accessed,
               .mtime = made.modified, .ctime = made.changed, .atimensec = made.accessed_ns,
               .mtimensec = made.modified_ns, .ctimensec = made.changed_ns, .mode = made.mode, .nlink = made.links,
               .uid = made.user, .gid = made.group, .blksize = 4096}};
  answer.opened = (struct fuse_open_out){.fh = handle.handle, .open_flags = FOPEN_KEEP_CACHE};
  if (write(self->descriptor, &answer, answer.header.len) < 0) return;  // The caller is gone: nothing to tell.
}

// Where the calling thread reads its requests to.
typedef struct landing {
  char *start;
  uint64_t room;
  int is_lent;
  int keeps;
} landing;

static _Thread_local landing here;

int tl_session_keep(const void *bytes, size_t count) {
  const char *start = bytes;
  if (!here.is_lent || start < here.start || start + count > here.start + TL_REQUEST_SIZE) return 0;
  here.keeps = 1;
  return 1;
}

static int land(tl_session *self) {
  if (here.start && here.room >= TL_REQUEST_SIZE) return 1;
  if (here.is_lent) self->operations->landing_back(self->volume, here.start, here.room);
  here = (landing){.is_lent = 1};
  here.start = self->operations->landing(self->volume, &here.room);
  if (here.start) return 1;
  here = (landing){.room = TL_REQUEST_SIZE};
  here.start = malloc(TL_REQUEST_SIZE);
  return here.start != NULL;
}

static void leave(tl_session *self) {
  if (here.is_lent) self->operations->landing_back(self->volume, here.start, here.room);
  else free(here.start);
  here = (landing){0};
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

// Until when the calling thread does not stay awake.
static _Thread_local uint64_t crowded_until;

// Whoever was answered often asks again at once. A processor of a virtual machine that went idle meanwhile needs tens of
// microseconds to come back, each time: so this one stays awake a little, and lets others have it who want it. Where
// others do want it, they keep it for milliseconds: there a thread that sleeps comes back sooner than one that yields.
static void wait_for_request(tl_session *self, uint64_t answered) {
  uint64_t before = now();
  if (before - answered < TL_AWAKE && before >= crowded_until) {
    sched_yield();
    uint64_t after = now();
    if (after - before > TL_CROWDED) crowded_until = after + TL_CROWDED_REST;
    return;
  }
  struct pollfd wait = {.fd = self->descriptor, .events = POLLIN};
  poll(&wait, 1, -1);
}

int tl_session_serve(tl_session *self) {
  int result = 0;
  retires = 0;
  here = (landing){0};
  uint64_t answered = 0;
  while (!retires && !fuse_session_exited(self->fuse)) {
    if (!land(self)) {
      result = -ENOMEM;
      break;
    }
    ssize_t length = read(self->descriptor, here.start, TL_REQUEST_SIZE);
    if (length < 0) {
      if (errno == EAGAIN) {
        wait_for_request(self, answered);
        continue;
      }
      // ENOENT: the request was interrupted before it was read. ENODEV: unmounted. ECONNABORTED: cut by MNT_FORCE.
      if (errno == EINTR || errno == ENOENT) continue;
      if (errno != ENODEV && errno != ECONNABORTED) result = -errno;
      break;
    }
    if ((size_t)length < sizeof *current) continue;
    current = (const void *)here.start;
    unsigned opcode = current->opcode < TL_OPCODES ? current->opcode : TL_OPCODES - 1;
    __atomic_fetch_add(&self->taken[opcode], 1, __ATOMIC_RELAXED);
    here.keeps = 0;
    if (current->opcode == FUSE_TMPFILE) {
      make_unnamed(self);
    } else {
      struct fuse_buf buffer = {.size = length, .mem = here.start};
      fuse_session_process_buf(self->fuse, &buffer);
    }
    current = NULL;
    answered = now();
    if (here.keeps) {
      // The next request begins where no byte of this one is, at the start of a cache line.
      uint64_t used = ((uint64_t)length + 63) & ~63ull;
      here.start += used;
      here.room -= used;
    }
  }
  if (retires) result = 1;
  leave(self);
  return result;
}

uint64_t tl_session_taken(tl_session *self, unsigned opcode) {
  return opcode < TL_OPCODES ? __atomic_load_n(&self->taken[opcode], __ATOMIC_RELAXED) : 0;
}

void tl_session_retire(void) { retires = 1; }

int tl_kills_privileges(void) {
  if (!current) return 0;
  const void *body = current + 1;
  switch (current->opcode) {
    case FUSE_WRITE: return (((const struct fuse_write_in *)body)->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    case FUSE_SETATTR: return (((const struct fuse_setattr_in *)body)->valid & FATTR_KILL_SUIDGID) != 0;
    case FUSE_OPEN: return (((const struct fuse_open_in *)body)->open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
    default: return 0;
  }
}

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void make_scratch_key(void) { pthread_key_create(&scratch_key, free); }

void *tl_session_scratch(void) {
  pthread_once(&scratch_once, make_scratch_key);
  void *buffer = pthread_getspecific(scratch_key);
  if (!buffer && (buffer = malloc(TL_REQUEST_SIZE))) pthread_setspecific(scratch_key, buffer);
  return buffer;
}
