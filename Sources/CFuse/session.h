#ifndef TORNLOG_CFUSE_SESSION_H
#define TORNLOG_CFUSE_SESSION_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include "cfuse.h"

// Seconds that the kernel may believe what it was told: nothing changes but through it.
#define TL_BELIEVED 86400.0
// Nanoseconds that a thread stays awake after an answer.
#define TL_AWAKE 200000
// Nanoseconds that a yield takes where others want the processor, and for how long no thread stays awake then.
#define TL_CROWDED 100000
#define TL_CROWDED_REST 20000000

struct tl_session {
  struct fuse_session *fuse;
  const tl_operations *operations;
  void *volume;
  int keeps_cache;
  /// Whether it is asked for each open and each close of a file.
  int hears_opens;
  int descriptor;
  /// Requests that were taken, by their opcodes (`linux/fuse.h`); the last counts those above.
  uint64_t taken[TL_OPCODES];
};

extern const struct fuse_lowlevel_ops tl_callbacks;

/// Whether the request that the calling thread serves asks to clear the set-user-ID and set-group-ID bits.
int tl_kills_privileges(void);
void tl_to_stat(const tl_status *from, struct stat *to);

#endif
