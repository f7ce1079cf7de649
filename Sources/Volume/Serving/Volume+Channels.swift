import Glibc

// A channel is a file of a volume that keeps nothing: each write to it is put in the trace as a mark, and goes on to a
// descriptor. What a program says through a channel stands in one order with what it does to its files.

extension Volume {
  /// Makes a channel in the root directory.
  /// - Parameter descriptor: what is written goes there. Somebody has to read it: a writer waits until there is room.
  /// - Returns: its inode: that of the marks.
  package func addChannel(_ name: String, to descriptor: Int32) -> UInt64 {
    lock.holding {
      let made = make(.create, S_IFREG | 0o622, Array(name.utf8), in: 1, by: VolumeCaller())
      guard let inode = made.inode else { preconditionFailure("a channel's name is taken: \(name)") }
      // This lookup is nobody's.
      inode.lookups -= 1
      inode.mode = S_IFREG | 0o622
      channels[inode.number] = descriptor
      return inode.number
    }
  }

  /// Ends a channel: what is written to it from now on stays in its file.
  package func removeChannel(_ inode: UInt64) { _ = lock.holding { channels.removeValue(forKey: inode) } }

  /// Notes what is written to a channel. The lock is held.
  /// - Returns: the descriptor that it goes on to; nil for a file that is no channel.
  func noteChannel(_ call: WriteCall, by caller: VolumeCaller) -> Int32? {
    guard let descriptor = channels[call.inode] else { return nil }
    if options.records {
      var record = TraceRecord(.mark, by: caller, inode: call.inode)
      record.length = UInt64(call.bytes.count)
      carry(Array(call.bytes), in: &record)
      add(record)
    }
    return descriptor
  }

  /// Writes all of it, without the lock: other operations go on while the reader is slow.
  func relay(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> (error: Int32, count: Int) {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
      if count < 0, errno == EINTR { continue }
      // Nobody reads: the writer is told as of a pipe.
      if count <= 0 { return (EPIPE, 0) }
      done += count
    }
    return (0, bytes.count)
  }
}
