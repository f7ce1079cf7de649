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
/// Commits the file system that `file` is on (`man 2 syncfs`).
int tl_commit(int file);

#endif
