/// One operation of a trace. Names are bytes, as the kernel's are; inode numbers are never used again. The root's is 1.
package struct VolumeOperation: Sendable {
  /// Its place in the order, from 0.
  package var sequence: Int
  /// CLOCK_MONOTONIC, nanoseconds.
  package var time: UInt64
  package var kind: VolumeOperationKind
  package var flags: VolumeOperationFlags
  /// The answer: 0, or an errno.
  package var error: Int32
  /// The file or directory that it is about; 0 where the name was not there.
  package var inode: UInt64
  package var otherInode: UInt64
  package var directory: UInt64
  package var name: [UInt8]
  package var newDirectory: UInt64
  package var newName: [UInt8]
  /// Bytes.
  package var offset: UInt64
  package var length: UInt64
  /// Bytes that a read or a write was answered with.
  package var answered: UInt64
  /// The type and permissions of what is made, the mode of an allocation, the flags of an open.
  package var mode: UInt32
  /// See the kinds.
  package var value: UInt64
  package var otherValue: UInt64
  /// The open file description, or 0.
  package var handle: UInt64
  /// The caller's thread and its process; the same where the thread was gone before it could be asked for.
  package var thread: UInt32
  package var process: UInt32
  /// The caller's, or the new owner where the kind is `setOwner`.
  package var user: UInt32
  package var group: UInt32
  /// Of a write with O_SYNC or O_DSYNC: the sequence number of the `syncWritten` that made it durable; its
  /// own where the kernel sends none (asynchronous, with O_DIRECT); or nil.
  package var durableBy: Int?
  /// Bytes of payload.
  package var payloadCount: Int

  /// `name`, or `newName`, as text; what is not UTF-8 is replaced.
  package var nameText: String { String(decoding: name, as: UTF8.self) }
  package var newNameText: String { String(decoding: newName, as: UTF8.self) }
}

/// A part of a write that reached the volume's storage.
package struct StoredPiece: Sendable, Equatable {
  /// Where, in bytes from the file's start.
  package var offset: UInt64
  /// Which bytes of the payload.
  package var payload: Range<Int>

  package init(offset: UInt64, payload: Range<Int>) {
    self.offset = offset
    self.payload = payload
  }
}
