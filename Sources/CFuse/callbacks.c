// From libfuse's callbacks to `tl_operations`, and from their answers to replies.
#include "session.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define SELF tl_session *self = fuse_req_userdata(request)
#define ASK(name, ...) self->operations->name(self->volume, who(request), __VA_ARGS__)

typedef struct fuse_file_info file_info;

static tl_caller who(fuse_req_t request) {
  const struct fuse_ctx *context = fuse_req_ctx(request);
  return (tl_caller){.thread = context->pid, .user = context->uid, .group = context->gid};
}

static tl_handle handle_of(const file_info *info) {
  return (tl_handle){.handle = info->fh, .flags = info->flags, .is_writeback = info->writepage,
                     .kills_privileges = tl_kills_privileges()};
}

void tl_to_stat(const tl_status *from, struct stat *to) {
  *to = (struct stat){.st_ino = from->inode, .st_size = from->size, .st_blocks = from->blocks, .st_rdev = from->device,
                      .st_mode = from->mode, .st_nlink = from->links, .st_uid = from->user, .st_gid = from->group,
                      .st_atim = {from->accessed, from->accessed_ns}, .st_mtim = {from->modified, from->modified_ns},
                      .st_ctim = {from->changed, from->changed_ns}, .st_blksize = 4096};
}

static void to_entry(const tl_status *status, struct fuse_entry_param *entry) {
  *entry = (struct fuse_entry_param){.ino = status->inode, .attr_timeout = TL_BELIEVED, .entry_timeout = TL_BELIEVED};
  tl_to_stat(status, &entry->attr);
}

static void reply_entry(fuse_req_t request, int error, const tl_status *status) {
  if (error) {
    fuse_reply_err(request, error);
    return;
  }
  struct fuse_entry_param entry;
  to_entry(status, &entry);
  fuse_reply_entry(request, &entry);
}

static void reply_status(fuse_req_t request, int error, const tl_status *status) {
  if (error) {
    fuse_reply_err(request, error);
    return;
  }
  struct stat answer;
  tl_to_stat(status, &answer);
  fuse_reply_attr(request, &answer, TL_BELIEVED);
}

static void begin(void *userdata, struct fuse_conn_info *connection) {
  const tl_session *self = userdata;
  // Merged and delayed writes would pass acknowledgements by.
  connection->want &= ~(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                        FUSE_CAP_AUTO_INVAL_DATA);
  connection->want |= connection->capable & FUSE_CAP_CACHE_SYMLINKS;
  // Where no open is heard of, O_TRUNC has to come as a SETATTR.
  if (!self->hears_opens) connection->want &= ~FUSE_CAP_ATOMIC_O_TRUNC;
  connection->max_write = 1 << 20;
  connection->max_readahead = 1 << 20;
}

static void lookup(fuse_req_t request, fuse_ino_t directory, const char *name) {
  SELF;
  tl_status found = {0};
  int error = ASK(lookup, directory, name, &found);
  if (error == ENOENT) {
    // Inode 0: the kernel may believe that too.
    found.inode = 0;
    error = 0;
  }
  reply_entry(request, error, &found);
}

static void forget(fuse_req_t request, fuse_ino_t inode, uint64_t count) {
  SELF;
  self->operations->forget(self->volume, inode, count);
  fuse_reply_none(request);
}

static void forget_many(fuse_req_t request, size_t count, struct fuse_forget_data *all) {
  SELF;
  for (size_t i = 0; i < count; i++) self->operations->forget(self->volume, all[i].ino, all[i].nlookup);
  fuse_reply_none(request);
}

static void status(fuse_req_t request, fuse_ino_t inode, file_info *info) {
  SELF;
  (void)info;
  tl_status found;
  int error = ASK(status, inode, &found);
  reply_status(request, error, &found);
}

static void change(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int which, file_info *info) {
  SELF;
  tl_changes changes = {.mode = wanted->st_mode, .user = wanted->st_uid, .group = wanted->st_gid, .size = wanted->st_size,
                        .handle = info ? info->fh : 0, .accessed = wanted->st_atim.tv_sec,
                        .accessed_ns = wanted->st_atim.tv_nsec, .modified = wanted->st_mtim.tv_sec,
                        .modified_ns = wanted->st_mtim.tv_nsec, .kills_privileges = tl_kills_privileges()};
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (which & FUSE_SET_ATTR_ATIME_NOW) changes.accessed = now.tv_sec, changes.accessed_ns = now.tv_nsec;
  if (which & FUSE_SET_ATTR_MTIME_NOW) changes.modified = now.tv_sec, changes.modified_ns = now.tv_nsec;
  if (which & FUSE_SET_ATTR_MODE) changes.changes |= TL_SET_MODE;
  if (which & FUSE_SET_ATTR_UID) changes.changes |= TL_SET_USER;
  if (which & FUSE_SET_ATTR_GID) changes.changes |= TL_SET_GROUP;
  if (which & FUSE_SET_ATTR_SIZE) changes.changes |= TL_SET_SIZE;
  if (which & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW)) changes.changes |= TL_SET_ACCESSED;
  if (which & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) changes.changes |= TL_SET_MODIFIED;
  tl_status after;
  int error = ASK(change, inode, &changes, &after);
  reply_status(request, error, &after);
}

static void read_link(fuse_req_t request, fuse_ino_t inode) {
  SELF;
  uint8_t target[4097];
  uint64_t count = sizeof target - 1;
  int error = ASK(target, inode, target, &count);
  target[error ? 0 : count] = 0;
  if (error) fuse_reply_err(request, error);
  else fuse_reply_readlink(request, (char *)target);
}

static void make_node(fuse_req_t request, fuse_ino_t directory, const char *name, mode_t mode, dev_t device) {
  SELF;
  tl_status made;
  int error = ASK(make_node, directory, name, mode, device, &made);
  reply_entry(request, error, &made);
}

static void make_directory(fuse_req_t request, fuse_ino_t directory, const char *name, mode_t mode) {
  SELF;
  tl_status made;
  int error = ASK(make_directory, directory, name, mode, &made);
  reply_entry(request, error, &made);
}

static void make_link(fuse_req_t request, const char *target, fuse_ino_t directory, const char *name) {
  SELF;
  tl_status made;
  int error = ASK(make_link, directory, name, target, &made);
  reply_entry(request, error, &made);
}

static void create(fuse_req_t request, fuse_ino_t directory, const char *name, mode_t mode, file_info *info) {
  SELF;
  tl_status made;
  tl_handle handle = handle_of(info);
  int error = ASK(create, directory, name, mode, &handle, &made);
  if (error) {
    fuse_reply_err(request, error);
    return;
  }
  struct fuse_entry_param entry;
  to_entry(&made, &entry);
  info->fh = handle.handle;
  info->keep_cache = 1;
  // ENOENT: the caller was interrupted and will never close what it does not have.
  if (fuse_reply_create(request, &entry, info) == -ENOENT) {
    self->operations->release(self->volume, (tl_caller){0}, made.inode, handle.handle);
    self->operations->forget(self->volume, made.inode, 1);
  }
}

static void unlink_name(fuse_req_t request, fuse_ino_t directory, const char *name) {
  SELF;
  fuse_reply_err(request, ASK(unlink, directory, name));
}

static void remove_directory(fuse_req_t request, fuse_ino_t directory, const char *name) {
  SELF;
  fuse_reply_err(request, ASK(remove_directory, directory, name));
}

static void rename_name(fuse_req_t request, fuse_ino_t directory, const char *name, fuse_ino_t new_directory,
                        const char *new_name, unsigned flags) {
  SELF;
  fuse_reply_err(request, ASK(rename, directory, name, new_directory, new_name, flags));
}

static void link_name(fuse_req_t request, fuse_ino_t inode, fuse_ino_t directory, const char *name) {
  SELF;
  tl_status linked;
  int error = ASK(link, inode, directory, name, &linked);
  reply_entry(request, error, &linked);
}

static void open_heard(fuse_req_t request, tl_session *self, fuse_ino_t inode, file_info *info) {
  tl_handle handle = handle_of(info);
  int error = ASK(open, inode, &handle);
  if (error) {
    fuse_reply_err(request, error);
    return;
  }
  info->fh = handle.handle;
  info->keep_cache = self->keeps_cache != 0;
  if (fuse_reply_open(request, info) == -ENOENT)
    self->operations->release(self->volume, (tl_caller){0}, inode, handle.handle);
}

static void open_any(fuse_req_t request, fuse_ino_t inode, file_info *info) {
  SELF;
  open_heard(request, self, inode, info);
}

static void open_file(fuse_req_t request, fuse_ino_t inode, file_info *info) {
  SELF;
  // After this answer the kernel asks for no open and no close of a file any more (`fc->no_open`, `fs/fuse/file.c`).
  if (self->hears_opens) open_heard(request, self, inode, info);
  else fuse_reply_err(request, ENOSYS);
}
static void read_bytes(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, file_info *info) {
  SELF;
  void *into = tl_session_scratch();
  uint64_t count = size < TL_REQUEST_SIZE ? size : (size_t)TL_REQUEST_SIZE;
  int error = into ? ASK(read, inode, handle_of(info), into, &count, offset) : ENOMEM;
  if (error) fuse_reply_err(request, error);
  else fuse_reply_buf(request, into, count);
}

static void write_bytes(fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
                        file_info *info) {
  SELF;
  uint64_t count = size;
  int error = ASK(write, inode, handle_of(info), bytes, &count, offset);
  if (error) fuse_reply_err(request, error);
  else fuse_reply_write(request, count);
}

static void flush(fuse_req_t request, fuse_ino_t inode, file_info *info) {
  SELF;
  // What a flush is for, mapped pages that were written, the kernel has sent before.
  fuse_reply_err(request, self->hears_opens ? ASK(flush, inode, info->fh) : ENOSYS);
}

static void release(fuse_req_t request, fuse_ino_t inode, file_info *info) {
  SELF;
  ASK(release, inode, info->fh);
  fuse_reply_err(request, 0);
}

typedef struct late_answer {
  fuse_req_t request;
  tl_session *session;
  fuse_ino_t inode;
  int error;
} late_answer;

// Forgetting waits for pages that others have locked while they wait for an answer: so not on a thread that serves.
static void *forget_then_answer(void *argument) {
  late_answer *late = argument;
  tl_session_forget_cache(late->session, late->inode);
  fuse_reply_err(late->request, late->error);
  free(late);
  return NULL;
}

static void sync_file(fuse_req_t request, fuse_ino_t inode, int data_only, file_info *info) {
  SELF;
  int32_t evicts = 0;
  int error = ASK(sync, inode, info->fh, data_only, &evicts);
  late_answer *late = evicts ? malloc(sizeof *late) : NULL;
  if (late) {
    *late = (late_answer){request, self, inode, error};
    pthread_t thread;
    if (pthread_create(&thread, NULL, forget_then_answer, late) == 0) {
      pthread_detach(thread);
      return;
    }
    free(late);
  }
  fuse_reply_err(request, error);
}

static void sync_directory(fuse_req_t request, fuse_ino_t inode, int data_only, file_info *info) {
  SELF;
  (void)info;
  fuse_reply_err(request, ASK(sync_directory, inode, data_only));
}

typedef struct listing {
  fuse_req_t request;
  char *buffer;
  size_t used, size;
  int is_plus;
} listing;

static int32_t take_name(void *context, const char *name, const tl_status *status, uint64_t next) {
  listing *self = context;
  size_t room = self->size - self->used, needed;
  struct fuse_entry_param entry;
  to_entry(status, &entry);
  if (self->is_plus) {
    // "." and ".." count as no lookup: inode 0 says so.
    if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) entry.ino = 0;
    needed = fuse_add_direntry_plus(self->request, self->buffer + self->used, room, name, &entry, next);
  } else {
    needed = fuse_add_direntry(self->request, self->buffer + self->used, room, name, &entry.attr, next);
  }
  if (needed > room) return 0;
  self->used += needed;
  return 1;
}

static void list_names(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, int is_plus) {
  SELF;
  listing into = {.request = request, .buffer = tl_session_scratch(), .is_plus = is_plus,
                  .size = size < TL_REQUEST_SIZE ? size : (size_t)TL_REQUEST_SIZE};
  int error = into.buffer ? ASK(list, inode, offset, is_plus, &into, take_name) : ENOMEM;
  if (error) fuse_reply_err(request, error);
  else fuse_reply_buf(request, into.buffer, into.used);
}

static void list_plain(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, file_info *info) {
  (void)info;
  list_names(request, inode, size, offset, 0);
}

static void list_plus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, file_info *info) {
  (void)info;
  list_names(request, inode, size, offset, 1);
}

static void room(fuse_req_t request, fuse_ino_t inode) {
  SELF;
  (void)inode;
  tl_room found;
  int error = ASK(room, &found);
  if (error) {
    fuse_reply_err(request, error);
    return;
  }
  struct statvfs answer = {.f_bsize = 4096, .f_frsize = 4096, .f_blocks = found.blocks, .f_bfree = found.free,
                           .f_bavail = found.free, .f_files = found.inodes + (1u << 30), .f_ffree = 1u << 30,
                           .f_favail = 1u << 30, .f_namemax = 255};
  fuse_reply_statfs(request, &answer);
}

static void set_attribute(fuse_req_t request, fuse_ino_t inode, const char *name, const char *value, size_t size,
                          int flags) {
  SELF;
  fuse_reply_err(request, ASK(set_attribute, inode, name, value, size, flags));
}

static void read_attribute(fuse_req_t request, fuse_ino_t inode, const char *name, size_t size) {
  SELF;
  uint8_t *into = tl_session_scratch();
  uint64_t count = size < TL_REQUEST_SIZE ? size : (size_t)TL_REQUEST_SIZE;
  int error = into ? ASK(attribute, inode, name, into, &count) : ENOMEM;
  if (error) fuse_reply_err(request, error);
  else if (size == 0) fuse_reply_xattr(request, count);
  else fuse_reply_buf(request, (char *)into, count);
}

static void list_attributes(fuse_req_t request, fuse_ino_t inode, size_t size) {
  read_attribute(request, inode, NULL, size);
}

static void remove_attribute(fuse_req_t request, fuse_ino_t inode, const char *name) {
  SELF;
  fuse_reply_err(request, ASK(remove_attribute, inode, name));
}

static void allocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length, file_info *info) {
  SELF;
  fuse_reply_err(request, ASK(allocate, inode, info->fh, mode, offset, length));
}

static void copy(fuse_req_t request, fuse_ino_t from, off_t from_offset, file_info *from_info, fuse_ino_t into,
                 off_t offset, file_info *info, size_t length, int flags) {
  SELF;
  (void)from_info;
  (void)flags;
  uint64_t count = length;
  int error = ASK(copy, from, from_offset, into, handle_of(info), offset, &count);
  if (error) fuse_reply_err(request, error);
  else fuse_reply_write(request, count);
}

static void seek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence, file_info *info) {
  SELF;
  (void)info;
  int64_t found = offset;
  int error = ASK(seek, inode, &found, whence);
  if (error) fuse_reply_err(request, error);
  else fuse_reply_lseek(request, found);
}

const struct fuse_lowlevel_ops tl_callbacks = {
    .init = begin, .lookup = lookup, .forget = forget, .forget_multi = forget_many, .getattr = status, .setattr = change,
    .readlink = read_link, .mknod = make_node, .mkdir = make_directory, .symlink = make_link, .create = create,
    .unlink = unlink_name, .rmdir = remove_directory, .rename = rename_name, .link = link_name, .open = open_file,
    .read = read_bytes, .write = write_bytes, .flush = flush, .release = release, .fsync = sync_file,
    .opendir = open_any, .readdir = list_plain, .readdirplus = list_plus, .releasedir = release,
    .fsyncdir = sync_directory, .statfs = room, .setxattr = set_attribute, .getxattr = read_attribute,
    .listxattr = list_attributes, .removexattr = remove_attribute, .fallocate = allocate, .copy_file_range = copy,
    .lseek = seek,
};
