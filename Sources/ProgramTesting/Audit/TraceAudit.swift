import Glibc
import Volume

/// What a trace shows without any crash: what was made durable when, and what never.
struct TraceAudit {
  /// Something that may be gone after a power cut.
  struct Exposure: Sendable {
    enum What: Sendable, Hashable {
      /// Bytes of a file.
      case bytes(Int)
      /// A name in its directory: made, changed or removed.
      case name
      /// The size, mode or the like.
      case attributes
    }

    var path: String
    var what: What
    /// Place and time of the operation.
    var begin: Int
    var beginTime: UInt64
    /// Where it became durable; nil: never.
    var end: Int?
    var endTime: UInt64?
    /// The kernel wrote back what had been stored in a shared mapping, some time before.
    var isWriteBack = false
  }

  private(set) var exposures: [Exposure] = []
  /// Files that got another's name before their bytes were synced: the old file is gone, and the new one is not there.
  private(set) var renamedUnsynced: [(from: String, to: String)] = []
  /// Syncs that failed, and what came of the file afterwards.
  private(set) var failedSyncs: [(path: String, isRetried: Bool)] = []

  private var names: [UInt64: String] = [:]
  /// Places in `exposures` of what is open, by file or directory.
  private var openBytes: [UInt64: [Int]] = [:]
  private var openNames: [UInt64: [Int]] = [:]

  /// - Parameter prepared: operations before this place are not the command's.
  init(_ trace: VolumeTrace, root: UInt64, prepared: Int) {
    names[root] = ""
    for operation in trace.operations { take(operation, isOwn: operation.sequence >= prepared) }
    for place in failed.values { failedSyncs.append((place, false)) }
  }

  private var failed: [UInt64: String] = [:]

  private func path(_ directory: UInt64, _ name: String) -> String? {
    names[directory].map { $0.isEmpty ? name : $0 + "/" + name }
  }

  private mutating func open(_ path: String, _ what: Exposure.What, _ operation: VolumeOperation) -> Int {
    exposures.append(Exposure(path: path, what: what, begin: operation.sequence, beginTime: operation.time))
    return exposures.count - 1
  }

  private mutating func close(_ places: [Int], _ operation: VolumeOperation) {
    for place in places { (exposures[place].end, exposures[place].endTime) = (operation.sequence, operation.time) }
  }

  private mutating func take(_ operation: VolumeOperation, isOwn: Bool) {
    if operation.error != 0 {
      if operation.kind == .sync, isOwn, let path = names[operation.inode] { failed[operation.inode] = path }
      return
    }
    switch operation.kind {
    case .create, .makeDirectory, .makeNode, .symlink, .link:
      let (directory, name) =
        operation.kind == .link
        ? (operation.newDirectory, operation.newNameText) : (operation.directory, operation.nameText)
      guard let path = path(directory, name) else { return }
      names[operation.inode] = path
      if isOwn { openNames[directory, default: []].append(open(path, .name, operation)) }
    case .unlink, .removeDirectory:
      guard isOwn, let path = path(operation.directory, operation.nameText) else { return }
      openNames[operation.directory, default: []].append(open(path, .name, operation))
    case .rename, .exchange:
      guard let from = path(operation.directory, operation.nameText),
        let to = path(operation.newDirectory, operation.newNameText)
      else { return }
      names[operation.inode] = to
      if operation.kind == .exchange { names[operation.otherInode] = from }
      guard isOwn else { return }
      if operation.otherInode != 0, !(openBytes[operation.inode] ?? []).isEmpty { renamedUnsynced.append((from, to)) }
      let place = open(to, .name, operation)
      openNames[operation.newDirectory, default: []].append(place)
      if operation.directory != operation.newDirectory {
        openNames[operation.directory, default: []].append(open(from, .name, operation))
      }
    case .write:
      guard isOwn, let path = names[operation.inode] else { return }
      let place = open(path, .bytes(Int(operation.answered)), operation)
      exposures[place].isWriteBack = operation.flags.contains(.writeBack)
      if operation.durableBy == operation.sequence {
        close([place], operation)
      } else {
        openBytes[operation.inode, default: []].append(place)
      }
    case .truncate, .allocate, .punchHole, .zeroRange:
      guard isOwn, let path = names[operation.inode] else { return }
      openBytes[operation.inode, default: []].append(open(path, .attributes, operation))
    case .sync, .syncWritten:
      guard !operation.flags.contains(.lying) else { return }
      if let path = failed.removeValue(forKey: operation.inode) { failedSyncs.append((path, true)) }
      var left: [Int] = []
      for place in openBytes[operation.inode] ?? [] {
        // The kernel's own sync covers its write, and not the whole file.
        if operation.kind == .sync || exposures[place].begin >= Int(operation.value) {
          close([place], operation)
        } else {
          left.append(place)
        }
      }
      openBytes[operation.inode] = left
    case .syncDirectory: close(openNames.removeValue(forKey: operation.inode) ?? [], operation)
    case .syncAll:
      for places in openBytes.values { close(places, operation) }
      for places in openNames.values { close(places, operation) }
      openBytes.removeAll()
      openNames.removeAll()
    default: break
    }
  }

  /// How long what had been done before an acknowledgement could still be lost after it, in nanoseconds; nil for
  /// ever. Names count where they are not made durable by a sync of their directory.
  /// - Parameters:
  ///   - after: what was done before this place belongs to an earlier acknowledgement.
  ///   - countsWriteBacks: what came from shared mappings counts; when it was stored nobody knows.
  func exposure(
    of acknowledgement: Int, time: UInt64, after: Int, countsNames: Bool, countsWriteBacks: Bool = true
  ) -> UInt64? {
    var longest: UInt64 = 0
    // They stand in the order in which they began.
    var (low, high) = (0, exposures.count)
    while low < high {
      let middle = (low + high) / 2
      if exposures[middle].begin < after { low = middle + 1 } else { high = middle }
    }
    for exposure in exposures[low...].prefix(while: { $0.begin < acknowledgement }) {
      if exposure.what == .name, !countsNames { continue }
      if exposure.isWriteBack, !countsWriteBacks { continue }
      guard let end = exposure.end, let endTime = exposure.endTime else { return nil }
      if end > acknowledgement { longest = max(longest, endTime - time) }
    }
    return longest
  }
}
