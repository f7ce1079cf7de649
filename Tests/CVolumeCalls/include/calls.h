// System calls that Glibc's headers hide from Swift. Each returns its result, or a negative errno.
#ifndef TORNLOG_CVOLUMECALLS_H
#define TORNLOG_CVOLUMECALLS_H

#include <stddef.h>
#include <stdint.h>

/// `flags` of open(2) beside those that Swift knows.
extern const int32_t tl_direct, tl_tmpfile;

int64_t tl_open_direct(const char *path, int flags);
/// pwritev2 of three pieces, with RWF_DSYNC (1) or RWF_SYNC (2) in `how`.
int64_t tl_write_pieces(int file, const void *bytes, size_t count, int64_t offset, int how);
int64_t tl_sync_range(int file);
int64_t tl_sync_file_system(int file);
int64_t tl_clone_file(int into, int from);
int64_t tl_copy_range(int from, int64_t from_offset, int into, int64_t offset, size_t count);
int64_t tl_seek(int file, int64_t offset, int hole);
int64_t tl_advise_drop(int file);
/// libaio's calls, without the library: one write or one fdsync, waited for.
int64_t tl_aio_write(int file, const void *bytes, size_t count, int64_t offset);
int64_t tl_aio_sync(int file);
/// A lock of the open file description (F_OFD_SETLK) or of the process (F_SETLK), without waiting.
int64_t tl_lock_range(int file, int is_ofd, int64_t start, int64_t count);
int64_t tl_flock(int file);
/// In a child: maps a range shared, stores one byte at each of `count` offsets, calls msync(MS_SYNC) (1),
/// msync(MS_ASYNC) (2) or nothing (0), and undoes the mapping.
int64_t tl_store_mapped(int file, size_t length, const int64_t *offsets, int count, uint8_t value, int how);
/// The same stores by a child that keeps the mapping until `tl_end_child`; its process ID.
int64_t tl_store_and_stay(int file, size_t length, const int64_t *offsets, int count, uint8_t value);
/// Kills a child and waits for it.
int64_t tl_end_child(int64_t child);
int64_t tl_listen(const char *path);
int64_t tl_connect(const char *path);
int64_t tl_set_attribute(const char *path, const char *name, const char *value, int flags);
int64_t tl_get_attribute(const char *path, const char *name, char *into, size_t capacity);
int64_t tl_list_attributes(const char *path, char *into, size_t capacity);
int64_t tl_remove_attribute(const char *path, const char *name);
/// linkat of /proc/self/fd/FILE.
int64_t tl_link_open_file(int file, const char *path);
/// Runs `path` with `arguments` in a child as user and group `id`; its exit code.
int64_t tl_as_user(unsigned id, const char *path, int flags);
/// In a child that then kills itself: stores a byte into a shared mapping.
int64_t tl_store_and_die(const char *path, int64_t offset, uint8_t value);

/// `fallocate` and `renameat2`: 0, or an errno.
int tl_fallocate(int file, int mode, int64_t offset, int64_t length);
int tl_rename(const char *from, const char *to, unsigned flags);

#endif
