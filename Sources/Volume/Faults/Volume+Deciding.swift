import Glibc

extension Volume {
  /// Asks the decider, and waits as long as it wants; the lock is free meanwhile.
  func decide(_ record: TraceRecord, name: [UInt8]? = nil, newName: [UInt8]? = nil) -> VolumeDecision {
    guard let decider else { return .proceed }
    occurrences[Int(record.kind)] += 1
    let request = VolumeRequest(
      kind: VolumeOperationKind(rawValue: record.kind)!,
      path: name.map { path($0, in: record.directory) } ?? path(of: record.inode),
      newPath: newName.map { path($0, in: record.newDirectory) }, inode: record.inode, offset: record.offset,
      length: record.length, fileSize: (try? inode(record.inode))?.content?.size ?? 0,
      occurrence: occurrences[Int(record.kind)],
      flags: VolumeOperationFlags(rawValue: record.flags), thread: record.thread, user: record.user)
    var decision = decider(request)
    while case .delayed(let nanoseconds, let then) = decision {
      wait(nanoseconds)
      decision = then
    }
    return decision
  }

  private func wait(_ nanoseconds: UInt64) {
    replaceWorker?()
    lock.leaving { delays.wait(nanoseconds) }
  }

  /// Lets every operation go that waits: what was to come after its delay comes at once. A process that is killed in
  /// such an operation ends only then.
  package func endDelays() { delays.end() }

  /// A file's path by its oldest name, from the root.
  package func path(of inode: UInt64) -> String {
    lock.holding {
      var parts: [String] = []
      var number = inode
      while number != 1 {
        guard Int(number) < inodes.count, let place = inodes[Int(number)]?.names.first else { return "(unnamed)" }
        parts.append(String(decoding: place.name, as: UTF8.self))
        number = place.directory
      }
      return "/" + parts.reversed().joined(separator: "/")
    }
  }

  func path(_ name: [UInt8], in directory: UInt64) -> String {
    let folder = path(of: directory)
    return (folder == "/" ? "" : folder) + "/" + String(decoding: name, as: UTF8.self)
  }

  /// Has a bit of a file's stored content turn over, as at rest: the kernel's cache is told to forget the file where
  /// the volume is mounted. Nothing is recorded.
  /// - Parameter bit: from 0, the first of the byte at `offset` being its lowest.
  /// - Returns: whether the file has that byte.
  package func flip(bit: Int, at offset: UInt64, of inode: UInt64) -> Bool {
    let done = lock.holding { () -> Bool in
      guard let content = (try? self.inode(inode))?.content, offset < content.size else { return false }
      var byte: UInt8 = 0
      _ = withUnsafeMutableBytes(of: &byte) { content.read($0, at: offset) }
      byte ^= 1 << UInt8(bit & 7)
      let stored = try? charging(content) { () throws(VolumeErrno) in
        withUnsafeBytes(of: byte) { content.write($0, at: offset, isShared: false) }
      }
      return stored == 1
    }
    if done { dropCaches(of: inode) }
    return done
  }

  /// Has the kernel forget what it has cached of a file, as if memory had been short; dirty mapped pages are written
  /// back first. What a failed sync has dropped is seen no more then. Not from a decider.
  package func dropCaches(of inode: UInt64) {
    let forget = lock.holding { forgetCache }
    forget?(inode)
    let hasDropped = lock.holding { () -> Bool in
      guard let file = try? self.inode(inode), !file.dropped.isEmpty else { return false }
      forgetDropped(file)
      return true
    }
    // Who has read meanwhile has brought the old content back.
    if hasDropped { forget?(inode) }
  }

  /// The same of all files whose path is wanted.
  package func dropCaches(where isWanted: (String) -> Bool) {
    let wanted = lock.holding { inodes.indices.filter { inodes[$0]?.content != nil && isWanted(path(of: UInt64($0))) } }
    for number in wanted { dropCaches(of: UInt64(number)) }
  }

  /// The inode that a path names, from the root; nil where there is none.
  package func inode(at path: String) -> UInt64? {
    lock.holding {
      var number: UInt64 = 1
      for part in path.split(separator: "/") {
        guard let next = (try? inode(number))?.directory?[Array(part.utf8)] else { return nil }
        number = next
      }
      return number
    }
  }
}
