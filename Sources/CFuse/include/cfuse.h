// The only window on libfuse 3 (low-level API, `fuse_lowlevel.h` of Debian's libfuse3-dev, 3.14): Swift sees plain
// structures and functions. libfuse's headers bring `struct stat` and `struct timespec`, which Swift would then take
// for this module's.
#ifndef TORNLOG_CFUSE_H
#define TORNLOG_CFUSE_H

#include <stddef.h>
#include <stdint.h>

#include "cwatchdog.h"

/// Who asks: a thread, and the user and group that count for files.
typedef struct tl_caller {
  uint32_t thread, user, group;
} tl_caller;

/// `man 7 inode`; times in seconds since 1970 and nanoseconds.
typedef struct tl_status {
  uint64_t inode, size, blocks, device;
  uint32_t mode, links, user, group;
  int64_t accessed, modified, changed;
  uint32_t accessed_ns, modified_ns, changed_ns;
} tl_status;

/// A descriptor of the program's: its handle, and the flags of open(2). Of a write the flags have what the call asks
/// for too (RWF_DSYNC, RWF_SYNC).
typedef struct tl_handle {
  uint64_t handle;
  int32_t flags;
  /// The kernel writes a mapped page back.
  uint8_t is_writeback;
  /// The set-user-ID and set-group-ID bits are to be cleared (FUSE_WRITE_KILL_SUIDGID and its likes).
  uint8_t kills_privileges;
} tl_handle;

/// What is to be changed: `changes` is of TL_SET_.
typedef struct tl_changes {
  uint32_t changes, mode, user, group;
  uint64_t size, handle;
  int64_t accessed, modified;
  uint32_t accessed_ns, modified_ns;
  uint8_t kills_privileges;
} tl_changes;

enum { TL_SET_MODE = 1, TL_SET_USER = 2, TL_SET_GROUP = 4, TL_SET_SIZE = 8, TL_SET_ACCESSED = 16, TL_SET_MODIFIED = 32 };

typedef struct tl_room {
  uint64_t blocks, free, inodes;
} tl_room;

/// Takes one name of a listing, which ends with a zero; `next` is where the listing goes on after it. 0: there is no
/// room.
typedef int32_t (*tl_take_name)(void *listing, const char *name, const tl_status *status, uint64_t next);

/// What serves. Each answers 0 or an errno. `volume` is what the session was made with.
typedef struct tl_operations {
  int32_t (*lookup)(void *volume, tl_caller, uint64_t directory, const char *name, tl_status *found);
  void (*forget)(void *volume, uint64_t inode, uint64_t count);
  int32_t (*status)(void *volume, tl_caller, uint64_t inode, tl_status *status);
  int32_t (*change)(void *volume, tl_caller, uint64_t inode, const tl_changes *changes, tl_status *status);
  /// `*count` is the capacity of `into` before, and the bytes after.
  int32_t (*target)(void *volume, tl_caller, uint64_t inode, uint8_t *into, uint64_t *count);
  int32_t (*make_node)(void *volume, tl_caller, uint64_t directory, const char *name, uint32_t mode, uint64_t device,
                       tl_status *made);
  int32_t (*make_directory)(void *volume, tl_caller, uint64_t directory, const char *name, uint32_t mode, tl_status *made);
  int32_t (*make_link)(void *volume, tl_caller, uint64_t directory, const char *name, const char *target, tl_status *made);
  /// `name` is NULL for a file without one (O_TMPFILE).
  int32_t (*create)(void *volume, tl_caller, uint64_t directory, const char *name, uint32_t mode, tl_handle *handle,
                    tl_status *made);
  int32_t (*unlink)(void *volume, tl_caller, uint64_t directory, const char *name);
  int32_t (*remove_directory)(void *volume, tl_caller, uint64_t directory, const char *name);
  int32_t (*rename)(void *volume, tl_caller, uint64_t directory, const char *name, uint64_t new_directory,
                    const char *new_name, uint32_t flags);
  int32_t (*link)(void *volume, tl_caller, uint64_t inode, uint64_t directory, const char *name, tl_status *linked);
  int32_t (*open)(void *volume, tl_caller, uint64_t inode, tl_handle *handle);
  int32_t (*read)(void *volume, tl_caller, uint64_t inode, tl_handle, void *into, uint64_t *count, uint64_t offset);
  int32_t (*write)(void *volume, tl_caller, uint64_t inode, tl_handle, const void *bytes, uint64_t *count, uint64_t offset);
  int32_t (*flush)(void *volume, tl_caller, uint64_t inode, uint64_t handle);
  void (*release)(void *volume, tl_caller, uint64_t inode, uint64_t handle);
  /// `*evicts`: the kernel is to forget what it has cached of the file before the answer.
  int32_t (*sync)(void *volume, tl_caller, uint64_t inode, uint64_t handle, int32_t data_only, int32_t *evicts);
  int32_t (*sync_directory)(void *volume, tl_caller, uint64_t inode, int32_t data_only);
  /// `remembers`: each name but "." and ".." that is taken counts as a lookup.
  int32_t (*list)(void *volume, tl_caller, uint64_t inode, uint64_t from, int32_t remembers, void *listing, tl_take_name);
  int32_t (*room)(void *volume, tl_caller, tl_room *room);
  int32_t (*set_attribute)(void *volume, tl_caller, uint64_t inode, const char *name, const void *value, uint64_t count,
                           int32_t flags);
  /// All names where `name` is NULL. `*count` as for `target`, but 0 asks for the size alone.
  int32_t (*attribute)(void *volume, tl_caller, uint64_t inode, const char *name, uint8_t *into, uint64_t *count);
  int32_t (*remove_attribute)(void *volume, tl_caller, uint64_t inode, const char *name);
  int32_t (*allocate)(void *volume, tl_caller, uint64_t inode, uint64_t handle, int32_t mode, uint64_t offset,
                      uint64_t count);
  int32_t (*copy)(void *volume, tl_caller, uint64_t from, uint64_t from_offset, uint64_t into, tl_handle, uint64_t offset,
                  uint64_t *count);
  int32_t (*seek)(void *volume, tl_caller, uint64_t inode, int64_t *offset, int32_t whence);
  /// Memory that requests are read into, and of which `tl_session_keep` may keep some: `*room` bytes, more than a
  /// request has. NULL where there is none.
  void *(*landing)(void *volume, uint64_t *room);
  /// What is left of it.
  void (*landing_back)(void *volume, void *memory, uint64_t room);
} tl_operations;

/// Bytes that a request has at the most: the largest write and its headers.
enum { TL_REQUEST_SIZE = (1 << 20) + 65536 };

typedef struct tl_session tl_session;

/// `operations` and `volume` must live as long as the session. `keeps_cache`: what is cached of a file stays when it
/// is opened anew. NULL where libfuse refuses; `tl_session_said` has its words.
tl_session *tl_session_open(const tl_operations *operations, void *volume, int keeps_cache, int hears_opens);
/// Mounts: by mount(2) as root, with fusermount3 otherwise. 0, or an errno; `*has_device` says whether /dev/fuse
/// could be opened (as root).
int tl_session_mount(tl_session *session, const char *directory, int *has_device);
/// Serves requests on this thread until the file system is unmounted (0), this thread was told to retire (1), or
/// reading fails (a negative errno).
int tl_session_serve(tl_session *session);
/// Opcodes that requests are counted by.
enum { TL_OPCODES = 64 };
/// Requests of an opcode (`linux/fuse.h`) that were taken so far; the last counts those of all above.
uint64_t tl_session_taken(tl_session *session, unsigned opcode);
/// Has the serving loop of the calling thread end once the request at hand is answered.
void tl_session_retire(void);
/// Has bytes of the request that the calling thread serves stay where they are, in what `landing` gave. 0: they cannot.
int tl_session_keep(const void *bytes, size_t count);
/// Has the kernel forget what it has cached of an inode. Not on a thread that serves. 0, or an errno.
int tl_session_forget_cache(tl_session *session, uint64_t inode);
/// Has the kernel forget a name in a directory, and all that it knows below it. Not on a thread that serves. 0, or an
/// errno.
int tl_session_forget_name(tl_session *session, uint64_t directory, const void *name, size_t count);
/// After the last thread has left `tl_session_serve`.
void tl_session_close(tl_session *session);
/// Whether a thread is in one of the calls that write and do not sync for themselves (`man 5 proc`,
/// /proc/PID/syscall): 0 too where that cannot be known.
int tl_thread_is_writing(uint32_t thread);
/// Extended attributes of a file, not of what a symbolic link names: 0 or a count, or a negative errno.
int64_t tl_attribute_set(const char *path, const char *name, const void *value, size_t count);
int64_t tl_attribute_get(const char *path, const char *name, void *into, size_t capacity);
int64_t tl_attribute_names(const char *path, void *into, size_t capacity);
/// The last line that libfuse had for its log.
const char *tl_session_said(void);
/// A buffer of the calling thread of 1 MiB and 64 KiB; it ends with the thread. NULL where there is no memory.
void *tl_session_scratch(void);

#endif
