// System calls about mounts and block devices that Glibc's headers hide from Swift. Each returns 0 or a descriptor, or
// the negative errno.
#ifndef TORNLOG_CLOOPDISKS_H
#define TORNLOG_CLOOPDISKS_H

/// Gives the calling thread, and the threads and processes that it starts from now on, mounts of their own, which end with
/// them (`man 2 unshare`, CLONE_NEWNS); what is mounted there is seen by nobody else.
int tl_private_mounts(void);
/// A file in memory, which goes with its last descriptor (`man 2 memfd_create`).
int tl_memory_file(const char *name);
/// Makes a file a block device that detaches itself with its last user (`man 4 loop`, LOOP_CONFIGURE, LO_FLAGS_AUTOCLEAR).
/// Returns a descriptor of the device, which counts as a user, and writes its path.
int tl_loop_attach(int file, char *path, int capacity);
/// Makes `to` share the content that `from` has now (`man 2 ioctl_ficlone`).
int tl_clone(int from, int to);
/// Starts writing the file's dirty pages, and does not wait (`man 2 sync_file_range`, SYNC_FILE_RANGE_WRITE).
int tl_start_writeback(int file);
/// Writes dirty pages of a part of the file and waits for them (`man 2 sync_file_range`): no metadata, no flush.
int tl_write_back(int file, long offset, long length);
/// Commits the running transaction of the btrfs that `file` is on, and flushes no delayed data
/// (BTRFS_IOC_START_SYNC and BTRFS_IOC_WAIT_SYNC).
int tl_btrfs_commit(int file);
/// `man 2 fallocate`.
int tl_allocate(int file, int mode, long offset, long length);
#define TL_KEEP_SIZE 1
#define TL_PUNCH_HOLE 2
#define TL_ZERO_RANGE 16
/// Lets two names change places (`man 2 renameat2`, RENAME_EXCHANGE).
int tl_exchange(const char *path, const char *other);
/// As `pwrite`, durable when it returns: O_DSYNC, or O_SYNC where `full` is set (`man 2 pwritev2`, RWF_DSYNC and RWF_SYNC). Returns the
/// bytes that were written.
long tl_write_durable(int file, const void *bytes, unsigned long count, long offset, int full);
/// `man 2 renameat2`, both names below one folder.
int tl_rename_at(int folder, const char *path, const char *other, int exchange);
/// Lets the calling thread make files with exactly the permissions that it names: it has a umask of its own from then on, 0
/// (`man 2 unshare`, CLONE_FS).
int tl_no_umask(void);
/// The user and the group that files are made by, of the calling thread (`man 2 setfsuid`).
void tl_make_files_as(unsigned user, unsigned group);
/// `man 2 setxattr`.
int tl_put_attribute(const char *path, const char *name, const char *value);
/// As `tl_put_attribute`, of any bytes; and `man 2 removexattr`.
int tl_put_bytes_attribute(const char *path, const char *name, const void *value, unsigned long length);
int tl_drop_attribute(const char *path, const char *name);
/// Commits the file system that `file` is on (`man 2 syncfs`).
int tl_commit(int file);

#endif
