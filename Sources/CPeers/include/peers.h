// Embedded databases that the engine is measured beside, as libraries of the system: found by dlopen where they are
// installed, and linked by nobody. Each loop commits `count` records of `record` bytes, one a transaction, from one
// thread: both have one writer at a time, whoever waits beside it.
#ifndef TORNLOG_PEERS_H
#define TORNLOG_PEERS_H

#include <stddef.h>
#include <stdint.h>

/// The library is not installed, or has not what is needed.
#define TL_PEER_ABSENT (-1000000)
/// The library failed; `tl_peer_failure` says how.
#define TL_PEER_FAILED (-1000001)

/// A database in WAL mode at `path`, which does not exist. `full`: synchronous = FULL, each commit is flushed;
/// otherwise NORMAL, only checkpoints are. Nanoseconds of the commits, or one of the above.
int64_t tl_peer_sqlite(const char *path, int full, size_t record, uint64_t count);
/// An LMDB environment with its defaults in `directory`, which exists and is empty.
int64_t tl_peer_lmdb(const char *directory, size_t record, uint64_t count);
/// What the last loop that failed said. Valid until the next loop.
const char *tl_peer_failure(void);
/// The version of an installed library, "sqlite" or "lmdb"; NULL where it is not installed.
const char *tl_peer_version(const char *library);

#endif
