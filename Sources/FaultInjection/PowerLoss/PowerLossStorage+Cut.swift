import LogModel
import Storage

extension PowerLossStorage {
  /// Cuts the power: waits for what is in flight in the base, then takes back on the real files what is not durable.
  /// To be called on the loop, outside of this storage's own operations.
  public func cutPower(seed: UInt64, profile: PersistenceProfile) async throws(StorageError) -> CrashReceipt {
    freeze()
    await drain()
    var random = SeededGenerator(seed: seed, stream: "power loss")
    var receipt = CrashReceipt(kind: .powerLoss, profile: profile.name, seed: seed)
    for record in records { try await restore(record, profile, &random, &receipt) }
    try await restoreNames(profile, &random, &receipt)
    return receipt
  }

  // MARK: Content

  /// Which sectors keep their newest bytes: the same answer for a sector however often it is asked.
  private struct SectorDice {
    var key: UInt64
    var keptEighths: UInt64

    init(_ random: inout SeededGenerator) {
      key = random.next()
      keptEighths = [0, 1, 4, 4, 4, 7, 8][Int.random(in: 0..<7, using: &random)]
    }

    func keeps(_ sector: Int64) -> Bool { mix64(key ^ UInt64(sector)) >> 32 % 8 < keptEighths }
  }

  private func restore(
    _ record: Record, _ profile: PersistenceProfile, _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) async throws(StorageError) {
    if let reader = record.reader { await base.close(reader) }
    record.reader = nil
    if !tearsInFlight(record) { return }
    let file = try await base.open(record.path, [.write])
    let seen = try await base.size(of: file)
    let size = finalSize(of: record, seen: seen, profile, &random)
    if size != seen {
      receipt.volatile += 1
      receipt.losses.append(.size(path: record.path, seen: seen, kept: size))
      try await base.truncate(file, to: size)
    }
    let dice = SectorDice(&random)
    let syncDice = SectorDice(&random)
    let writeDice = SectorDice(&random)
    var lost = RangeList()
    var volatile = RangeList()
    var (kept, total) = (0, 0)

    func undo(_ entry: UndoLog.Entry, _ keeps: (Int64) -> Bool) async throws(StorageError) {
      volatile.add(entry.range)
      var run: Range<Int64>?
      var at = entry.range.lowerBound
      // What lies beyond the size is gone without a die being cast.
      let inside = min(entry.range.upperBound, max(size, at))
      if inside < entry.range.upperBound { lost.add(inside..<entry.range.upperBound) }
      while at < inside {
        let end = min((at / 512 + 1) * 512, inside)
        let stays = keeps(at / 512)
        total += 1
        if stays { kept += 1 }
        if !stays {
          run = (run?.lowerBound ?? at)..<end
        } else if let done = run {
          try await put(entry, done, into: file)
          lost.add(done)
          run = nil
        }
        at = end
      }
      if let done = run {
        try await put(entry, done, into: file)
        lost.add(done)
      }
    }

    for operation in record.inFlight.reversed() {
      (kept, total) = (0, 0)
      for entry in operation.entries {
        try await undo(entry) {
          operation.isDurable ? writeDice.keeps($0) : profile.sectors == .oldOrNew && dice.keeps($0)
        }
      }
      receipt.unfinished.append(.init(kind: .write, path: record.path, kept: kept, of: total))
    }
    for entry in record.log.abandoned.entries.reversed() { try await undo(entry) { _ in false } }
    let covered = record.log.pendingSyncs.map(\.number).max() ?? 0
    for layer in record.log.layers.reversed() {
      for entry in layer.entries.reversed() {
        try await undo(entry) {
          profile.sectors == .oldOrNew ? dice.keeps($0) : layer.number < covered && syncDice.keeps($0)
        }
      }
    }
    await base.close(file)
    for range in lost.ranges { receipt.lose(range.clamped(to: 0..<max(seen, size)), of: record.path) }
    receipt.volatile += volatile.ranges.reduce(0) { $0 + Int(($1.upperBound - 1) / 512 - $1.lowerBound / 512 + 1) }
  }

  /// Prepares the log for its end. A durable write in flight that was not read back is whole.
  /// - Returns: whether anything of the file is volatile.
  private func tearsInFlight(_ record: Record) -> Bool {
    for operation in record.inFlight where operation.isDurable {
      let torn = operation.entries.first?.range.lowerBound ?? operation.range.upperBound
      if operation.range.lowerBound < torn { record.log.completeDurableWrite(operation.range.lowerBound..<torn) }
    }
    return record.log.size != record.log.durableSize || !record.inFlight.isEmpty || !record.log.pendingSyncs.isEmpty
      || record.log.layers.contains { !$0.entries.isEmpty } || !record.log.abandoned.entries.isEmpty
  }

  private func finalSize(
    of record: Record, seen: Int64, _ profile: PersistenceProfile, _ random: inout SeededGenerator
  ) -> Int64 {
    var size = record.log.durableSize
    for sync in record.log.pendingSyncs where random.chance(1, in: 2) { size = sync.size }
    for operation in record.inFlight where operation.isDurable {
      if operation.range.upperBound > size, random.chance(1, in: 2) { size = min(operation.range.upperBound, seen) }
    }
    if profile.sizes == .oldOrNew, random.chance(1, in: 2) { size = seen }
    return size
  }

  private func put(
    _ entry: UndoLog.Entry, _ range: Range<Int64>, into file: FileID
  ) async throws(StorageError) {
    let buffer = IOBuffer(capacity: min(range.count, 1 << 20))
    var at = range.lowerBound
    while at < range.upperBound {
      let n = min(buffer.capacity, Int(range.upperBound - at))
      if let old = entry.cut(to: at..<at + Int64(n)).old { buffer.mutableBytes(0..<n).copyBytes(from: old) }
      at += Int64(try await base.write(file, at: at, from: buffer, 0..<n, .volatile))
    }
  }

  // MARK: Names

  private func restoreNames(
    _ profile: PersistenceProfile, _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) async throws(StorageError) {
    let covered = directorySyncs.values.reduce(into: Set<Int>()) { $0.formUnion($1) }
    let lines = journal.lines
    var choice = SeededChoice(parts: lines.count, from: &random)
    // A change that is kept keeps what it stands on: earlier changes of its paths and of the directories above.
    var pinned: Set<String> = []
    for line in lines.reversed() {
      let change = line.change
      receipt.volatile += change.paths.count
      let mayStay =
        covered.contains(line.number) || profile.entries == .oldOrNew && !journal.abandoned.contains(line.number)
      let stays = mayStay && choice.keepsNext() || change.paths.contains { pinned.contains($0) }
      guard !stays else {
        for path in change.paths {
          var above = path
          while !above.isEmpty {
            pinned.insert(above)
            above = parent(of: above)
          }
        }
        if let kept = change.kept { try await forget(kept) }
        continue
      }
      receipt.losses += change.losses
      try await undo(change)
    }
  }

  private func undo(_ change: NamespaceUndoLog.Change) async throws(StorageError) {
    switch change {
    case .created(let path):
      byPath[path] = nil
      try await base.unlink(path)
    case .madeDirectory(let path): try await base.rename(path, to: try await keptPath())
    case .removed(let path, let kept):
      try await base.rename(kept, to: path)
      moveRecord(kept, to: path)
    case .renamed(let path, let newPath, let replaced):
      try await base.rename(newPath, to: path)
      moveRecord(newPath, to: path)
      if let replaced {
        try await base.rename(replaced, to: newPath)
        moveRecord(replaced, to: newPath)
      }
    }
  }
}

/// Ranges, joined where they meet.
struct RangeList {
  private var added: [Range<Int64>] = []

  mutating func add(_ range: Range<Int64>) {
    guard !range.isEmpty else { return }
    if let last = added.last, last.upperBound == range.lowerBound {
      added[added.count - 1] = last.lowerBound..<range.upperBound
    } else {
      added.append(range)
    }
  }

  /// Sorted and disjoint.
  var ranges: [Range<Int64>] {
    var joined: [Range<Int64>] = []
    for range in added.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = joined.last, range.lowerBound <= last.upperBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    return joined
  }
}
