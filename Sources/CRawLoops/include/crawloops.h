// The raw reference loops: the least that a program on this machine must pay for the same bytes, in C, with nothing
// around them. The benchmarks give every figure as a ratio to one of these, measured in the same run.
//
// Each loop creates its file at `path` (which must not exist), unlinks it at once, prepares it outside the timed
// part, runs for the count that the caller gives, and returns the elapsed nanoseconds of CLOCK_MONOTONIC (>= 1) or a
// negative errno. Counts are small, so that the caller can alternate loops and its own subject. Nothing is shared
// between calls.
#ifndef TORNLOG_CRAWLOOPS_H
#define TORNLOG_CRAWLOOPS_H

#include <stddef.h>
#include <stdint.h>

/// One block of the unsynced loops and of the checksum loop, in bytes.
#define RL_BLOCK 65536
/// One piece of the cached read loop, in bytes.
#define RL_PIECE 262144
/// Records are copied from a pool of this many different ones, like a producer's batch of 100.
#define RL_POOL 100

/// How the file stands before the timed part.
enum rl_file {
  /// Empty: every write extends it, so a sync writes metadata too (`man 2 fdatasync`).
  RL_GROWING = 0,
  /// Zero-filled over its whole length, and synced: extents are written, a sync has no metadata to flush.
  RL_ZERO_FILLED = 1,
  /// Its extents allocated by `fallocate` and never written: a first write makes each of them a written one. For
  /// `rl_flushes` only.
  RL_ALLOCATED = 2,
};

/// `count` times `pwrite` of `record` bytes, each followed by `fdatasync`. With RL_ZERO_FILLED and 1024 bytes: REF.
int64_t rl_synced_writes(const char *path, enum rl_file file, size_t record, uint64_t count);

/// What the ring loop could use; the rest it did without.
enum rl_ring_feature {
  RL_REGISTERED_FILE = 1,
  RL_REGISTERED_BUFFER = 2,
  /// The file system takes direct writes in 512-byte units; otherwise 4096 was used.
  RL_ALIGNED_512 = 4,
};

/// io_uring, O_DIRECT + RWF_DSYNC, on a zero-filled file: each write holds `group` records, padded together to the
/// unit of direct I/O; `depth` writes are in flight. Runs until `count` records are written (a multiple of `group`,
/// rounded up). -EINVAL where the file system refuses O_DIRECT, -ENOSYS or -EPERM where the kernel or a seccomp
/// filter refuses io_uring. `*features` gets the `rl_ring_feature`s in use.
int64_t rl_ring_writes(const char *path, size_t record, unsigned group, unsigned depth, uint64_t count,
                       unsigned *features);

/// Copies `count` records into blocks of 64 KiB (whole records only), checksums each block with zlib's crc32, and
/// `pwrite`s it. Never synced. With RL_ZERO_FILLED the file's pages are in the cache beforehand.
int64_t rl_checksummed_blocks(const char *path, enum rl_file file, size_t record, uint64_t count);

/// Reads a cached file of `file_bytes` in pieces of 256 KiB by `pread`, `passes` times.
int64_t rl_cached_read(const char *path, size_t file_bytes, unsigned passes);

/// zlib's crc32 over blocks of 64 KiB of a buffer of `buffer_bytes`, `passes` times. `*checksum` gets the xor of all.
int64_t rl_checksum(size_t buffer_bytes, unsigned passes, uint32_t *checksum);

/// How a write is made durable.
enum rl_flush {
  /// Not at all: `pwrite`.
  RL_NO_FLUSH = 0,
  /// `pwrite`, then `fdatasync`.
  RL_FDATASYNC = 1,
  /// `pwrite`, then `fsync`.
  RL_FSYNC = 2,
  /// `pwritev2` with RWF_DSYNC.
  RL_DSYNC = 3,
  /// The same past the page cache (O_DIRECT), in units of 4096 bytes.
  RL_DIRECT_DSYNC = 4,
};

/// Writes of `record` bytes one after the other, each made durable, until `limit` nanoseconds have passed or there are
/// `most` of them. A file that is filled beforehand has 16 MiB and is written round and round. `starts[i]` gets the
/// nanoseconds from the beginning to the i-th write, `latencies[i]` how long that took. Returns their number.
int64_t rl_flushes(const char *path, enum rl_flush flush, enum rl_file file, size_t record, int64_t limit,
                   uint64_t most, int64_t *starts, int64_t *latencies);

#endif
