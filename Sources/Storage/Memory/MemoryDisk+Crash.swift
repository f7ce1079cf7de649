import LogModel

extension MemoryDisk {
  /// The process dies, the machine lives: what readers could see stays. Of an operation in flight nothing, all or a
  /// part has happened, by the seed; a write happens by sectors.
  @discardableResult
  public func processKill(seed: UInt64) -> CrashReceipt {
    var random = SeededGenerator(seed: seed, stream: "process kill")
    var receipt = CrashReceipt(kind: .processKill, profile: "", seed: seed)
    let names = pathsOfFiles()
    for operation in endLife() {
      switch operation.work {
      case .write(let write): kill(write, names, &random, &receipt)
      case .truncate(let i, let size):
        let happens = random.chance(1, in: 2)
        if happens { ownedFile(i)?.truncate(to: size) }
        receipt.add(.truncate, names[i], happens)
      case .sync(let i, let capture):
        let happens = random.chance(1, in: 2)
        if happens { settleSync(file: i, capture, submittedAs: operation.number) }
        receipt.add(.sync, names[i], happens)
      case .names(let change): receipt.add(change.operation, change.path, happens(change, &random))
      case .syncDirectory(let i, let capture):
        let happens = random.chance(1, in: 2)
        if happens { settleDirectorySync(i, capture, submittedAs: operation.number) }
        receipt.add(.syncDirectory, "", happens)
      }
    }
    finishCrash()
    return receipt
  }

  private func kill(
    _ write: PendingWrite, _ names: [String], _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) {
    guard ownedFile(write.file) != nil else { return }
    var choice = SeededChoice(parts: sectorCount(write.offset, write.range.count), from: &random)
    let isDurable = write.durable && random.chance(1, in: 2)
    var (kept, total) = (0, 0)
    forEachSector(write.offset, write.range.count) { start, count in
      total += 1
      let keeps = choice.keepsNext()
      guard write.visibleFrom <= now || keeps else { return }
      kept += 1
      _ = settleWrite(
        file: write.file, write.bytes + Int(start - write.offset), count, at: start, durable: isDurable)
    }
    receipt.unfinished.append(.init(kind: .write, path: names[write.file], kept: kept, of: total))
  }

  /// The machine dies: what is durable stays, and `profile` with `seed` resolves the rest.
  @discardableResult
  public func powerLoss(seed: UInt64, profile: PersistenceProfile) -> CrashReceipt {
    var random = SeededGenerator(seed: seed, stream: "power loss")
    var receipt = CrashReceipt(kind: .powerLoss, profile: profile.name, seed: seed)
    let names = pathsOfFiles()
    for operation in endLife() { resolve(operation.work, profile, names, &random, &receipt) }
    resolveFiles(profile, names, &random, &receipt)
    resolveEntries(profile, &random, &receipt)
    mayHaveGarbage = true
    finishCrash()
    reboot()
    return receipt
  }

  private func resolve(
    _ work: PendingOperation.Work, _ profile: PersistenceProfile, _ names: [String],
    _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) {
    switch work {
    case .write(let write) where write.durable:
      guard let file = ownedFile(write.file) else { return }
      var choice = SeededChoice(parts: sectorCount(write.offset, write.range.count), from: &random)
      let (kept, total) = file.persistSectors(write.bytes, write.range.count, at: write.offset, both: true) {
        choice.keepsNext()
      }
      if write.end > file.durableSize, random.chance(1, in: 2) { file.persistSize(write.end, both: true) }
      receipt.unfinished.append(.init(kind: .write, path: names[write.file], kept: kept, of: total))
    case .write(let write):
      // Whether it got as far as the cache is the seed's choice where the cache may have reached the medium.
      let happens = profile.sectors == .oldOrNew && random.chance(1, in: 2)
      if happens {
        _ = settleWrite(file: write.file, write.bytes, write.range.count, at: write.offset, durable: false)
      }
      receipt.add(.write, names[write.file], happens)
    case .truncate(let i, let size):
      let happens = profile.sizes == .oldOrNew && random.chance(1, in: 2)
      if happens { ownedFile(i)?.truncate(to: size) }
      receipt.add(.truncate, names[i], happens)
    case .sync(let i, let capture): persistPart(of: capture, file: i, names[i], &random, &receipt)
    case .names(let change):
      receipt.add(change.operation, change.path, profile.entries == .oldOrNew && happens(change, &random))
    case .syncDirectory(let i, let capture):
      guard let directory = ownedDirectory(i) else { return }
      var choice = SeededChoice(parts: capture.changes.count, from: &random)
      let kept = capture.changes.filter { _ in choice.keepsNext() }
      for change in kept { directory.apply(change) }
      receipt.unfinished.append(.init(kind: .syncDirectory, path: "", kept: kept.count, of: capture.changes.count))
    }
  }

  /// A sync in flight: any of the sectors that it would have covered are durable, and the size or not.
  private func persistPart(
    of capture: MemoryFile.Capture, file i: Int, _ path: String, _ random: inout SeededGenerator,
    _ receipt: inout CrashReceipt
  ) {
    guard let file = ownedFile(i) else { return }
    let perPage = MemoryPage.size / PersistenceProfile.sectorSize
    var choice = SeededChoice(parts: capture.pages.count * perPage, from: &random)
    var (kept, total) = (0, 0)
    for (index, page) in capture.pages.sorted(by: { $0.index < $1.index }) {
      let part = file.persistSectors((page ?? .zero()).bytes, MemoryPage.size, at: Int64(index << MemoryPage.shift)) {
        choice.keepsNext()
      }
      kept += part.kept
      total += part.of
    }
    if capture.size != file.durableSize, random.chance(1, in: 2) { file.persistSize(capture.size) }
    receipt.unfinished.append(.init(kind: .sync, path: path, kept: kept, of: total))
  }

  private func happens(_ change: NameChange, _ random: inout SeededGenerator) -> Bool {
    guard random.chance(1, in: 2) else { return false }
    // A change that would have failed changes nothing.
    do { try apply(change) } catch { return false }
    return true
  }

  private func resolveFiles(
    _ profile: PersistenceProfile, _ names: [String], _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) {
    for i in files.indices {
      guard files[i]?.isVolatile == true, let file = ownedFile(i) else { continue }
      let (seen, durable) = (file.settledSize, file.durableSize)
      var size = durable
      if seen != durable {
        receipt.volatile += 1
        if profile.sizes == .oldOrNew, random.chance(1, in: 2) { size = seen }
        if size != seen { receipt.losses.append(.size(path: names[i], seen: seen, kept: size)) }
      }
      var choice = SeededChoice(parts: file.dirty.count * 8, from: &random)
      file.resolve(size: size) {
        receipt.volatile += 1
        return profile.sectors == .oldOrNew && choice.keepsNext()
      } lost: {
        receipt.lose($0, of: names[i])
      }
    }
  }

  private func resolveEntries(
    _ profile: PersistenceProfile, _ random: inout SeededGenerator, _ receipt: inout CrashReceipt
  ) {
    for (path, i) in visibleDirectories() {
      let changes = directories[i]?.changes ?? []
      guard !changes.isEmpty, let directory = ownedDirectory(i) else { continue }
      var choice = SeededChoice(parts: changes.count, from: &random)
      for change in changes {
        receipt.volatile += 1
        if profile.entries == .oldOrNew, choice.keepsNext(), !directory.isAbandoned(change) {
          directory.apply(change)
        } else {
          receipt.losses.append(.entry(path: joined(path, change.name), change.kind))
        }
      }
    }
    // Directories that only the durable tree reaches, such as a removed one that is back, are as durable.
    for i in directories.indices {
      guard let directory = directories[i], directory.visible != directory.durable else { continue }
      ownedDirectory(i)?.revert()
    }
  }

  // MARK: The end of a life

  /// The operations in flight, in the order of submission; their machine is dead from here on.
  private func endLife() -> [PendingOperation] {
    life += 1
    let operations = pending
    pending.removeAll()
    return operations
  }

  private func finishCrash() {
    mayHaveGarbage = true
    for i in files.indices where (files[i]?.openCount ?? 0) > 0 { ownedFile(i)?.openCount = 0 }
    collectGarbage()
    var linked = [Bool](repeating: false, count: files.count)
    for case .file(let i) in directories.lazy.compactMap({ $0?.visible.values }).joined() { linked[i] = true }
    for i in files.indices where files[i] != nil && files[i]!.isLinked != linked[i] {
      ownedFile(i)?.isLinked = linked[i]
    }
  }

  /// By file index; a file without a visible name is shown as a number.
  private func pathsOfFiles() -> [String] {
    var names = files.indices.map { "removed file \($0)" }
    for (path, i) in visibleFiles() { names[i] = path }
    return names
  }
}

extension CrashReceipt {
  fileprivate mutating func add(_ kind: OperationKind, _ path: String, _ happened: Bool) {
    unfinished.append(.init(kind: kind, path: path, kept: happened ? 1 : 0, of: 1))
  }
}

func sectorCount(_ offset: Int64, _ count: Int) -> Int {
  guard count > 0 else { return 0 }
  let size = Int64(PersistenceProfile.sectorSize)
  return Int((offset + Int64(count) - 1) / size - offset / size + 1)
}

/// The parts of `offset ..< offset + count` that lie in one sector each, ascending.
public func forEachSector(_ offset: Int64, _ count: Int, _ body: (Int64, Int) -> Void) {
  let size = Int64(PersistenceProfile.sectorSize)
  var at = offset
  let end = offset + Int64(count)
  while at < end {
    let n = min(size - at % size, end - at)
    body(at, Int(n))
    at += n
  }
}
