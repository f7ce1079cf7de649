/// A record as it lies in memory: of plain values, so that adding one copies it and counts no references.
struct TraceRecord {
  var time: UInt64 = 0
  var inode: UInt64 = 0
  var otherInode: UInt64 = 0
  var directory: UInt64 = 0
  var newDirectory: UInt64 = 0
  var offset: UInt64 = 0
  var length: UInt64 = 0
  var answered: UInt64 = 0
  var value: UInt64 = 0
  var otherValue: UInt64 = 0
  var handle: UInt64 = 0
  /// One more than the sequence number of the sync; 0 is none.
  var durable: UInt64 = 0
  var payload: UnsafeRawPointer?
  var names: UnsafeRawPointer?
  var payloadCount: UInt32 = 0
  /// The first name's bytes are followed by the second's.
  var nameCount: UInt16 = 0
  var newNameCount: UInt16 = 0
  var flags: UInt32 = 0
  var error: Int32 = 0
  var mode: UInt32 = 0
  var thread: UInt32 = 0
  var process: UInt32 = 0
  var user: UInt32 = 0
  var group: UInt32 = 0
  var kind: UInt8 = 0

  init(_ kind: VolumeOperationKind, by caller: VolumeCaller = VolumeCaller(), inode: UInt64 = 0) {
    self.kind = kind.rawValue
    self.inode = inode
    thread = caller.thread
    user = caller.user
    group = caller.group
  }

  mutating func insert(_ flag: VolumeOperationFlags) { flags |= flag.rawValue }
  func has(_ flag: VolumeOperationFlags) -> Bool { flags & flag.rawValue != 0 }

  func operation(_ sequence: Int) -> VolumeOperation {
    let names = UnsafeRawBufferPointer(start: names, count: Int(nameCount) + Int(newNameCount))
    return VolumeOperation(
      sequence: sequence, time: time, kind: VolumeOperationKind(rawValue: kind)!,
      flags: VolumeOperationFlags(rawValue: flags), error: error, inode: inode, otherInode: otherInode,
      directory: directory, name: Array(names.prefix(Int(nameCount))), newDirectory: newDirectory,
      newName: Array(names.dropFirst(Int(nameCount))), offset: offset, length: length, answered: answered, mode: mode,
      value: value, otherValue: otherValue, handle: handle, thread: thread, process: process, user: user,
      group: group, durableBy: durable == 0 ? nil : Int(durable) - 1, payloadCount: Int(payloadCount))
  }
}

/// Who asks, as the kernel tells it (`struct fuse_in_header`): the thread, and the user and group that count for files.
struct VolumeCaller {
  var thread: UInt32 = 0
  var user: UInt32 = 0
  var group: UInt32 = 0
}
