extension Recording {
  /// The path that a file or directory was made under.
  package func name(_ inode: InodeNumber) -> String {
    inode == InodeTable.root ? "the root directory" : table.paths[Int(inodes.homes[Int(inode)])]
  }

  private func path(_ entry: EntryNumber) -> String { table.paths[Int(inodes.entryPaths[Int(entry)])] }

  /// How an operation ended that did not end as it should.
  package func ending(of number: Int, _ succeeded: Bool, _ taken: Int) -> String {
    if !succeeded { return ": failed" }
    if case .write(_, _, let bytes, _) = operations[number], taken < bytes.count { return ": \(taken) bytes taken" }
    return ""
  }

  /// What an operation does to the file that was named before.
  package func verb(_ operation: DiskOperation) -> String {
    switch operation {
    case .write(_, let offset, let bytes, let durable): "write @\(offset)+\(bytes.count)\(durable ? " durable" : "")"
    case .truncate(_, let size): "truncate to \(size)"
    case .sync(_, let isFull): isFull ? "fsync" : "fdatasync"
    default: text(operation)
    }
  }

  package func text(_ operation: DiskOperation) -> String {
    switch operation {
    case .create(let entry, let inode):
      switch inodes.kinds[Int(inode)] {
      case .file: "create \(path(entry))"
      case .directory: "make directory \(path(entry))"
      case .symbolicLink(let target): "make symbolic link \(path(entry)) to \(target)"
      }
    case .link(let entry, let inode): "link \(name(inode)) as \(path(entry))"
    case .unlink(let entry): "unlink \(path(entry))"
    case .rename(let from, let to): "rename \(path(from)) to \(path(to))"
    case .exchange(let one, let other): "exchange \(path(one)) and \(path(other))"
    case .attributes(let inode, let onlyTimes): "\(onlyTimes ? "set times of" : "set attributes of") \(name(inode))"
    case .write(let file, let offset, let bytes, let durable):
      "write \(name(file)) @\(offset)+\(bytes.count)\(durable ? " durable" : "")"
    case .truncate(let file, let size): "truncate \(name(file)) to \(size)"
    case .allocate(let file, let end, _): "allocate \(name(file)) to \(end)"
    case .zero(let file, let range): "zero \(name(file)) @\(range.lowerBound)+\(range.count)"
    case .sync(let file, let isFull): "\(isFull ? "fsync" : "fdatasync") \(name(file))"
    case .syncDirectory(let inode): "sync directory \(name(inode))"
    case .syncAll: "sync the file system"
    }
  }

  /// The operations that were submitted in the first `count` events, in that order, and what is not over yet.
  package func operationTexts(before count: Int) -> [String] {
    var flying: Set<Int> = []
    var numbers: [Int] = []
    for event in events[..<count] {
      switch event.what {
      case .submitted(let number):
        numbers.append(number)
        flying.insert(number)
      case .completed(let number, _, _): flying.remove(number)
      case .changed, .fact: break
      }
    }
    return numbers.map { text(operations[$0]) + (flying.contains($0) ? " (in flight)" : "") }
  }
}

extension CrashPoint {
  /// What the power cut took: names first, then sizes, then bytes, a line for each piece that is not as it was last
  /// written. Pieces that follow each other in a file and met the same fate share a line. A note counts those that do
  /// not fit.
  /// - Parameter limit: of lines, from 1.
  package func losses(_ choice: [Alternative], _ recording: Recording, limit: Int) -> [String] {
    var (names, sizes): ([String], [String]) = ([], [])
    var bytes: [(file: Int32, range: Range<Int>, fate: String)] = []
    for (index, piece) in pieces.enumerated() where Int(choice[index]) != piece.newest {
      switch piece {
      case .sectors(let file, let unit):
        let range = unit.sectors.lowerBound * SectorStore.size..<unit.sectors.upperBound * SectorStore.size
        let fate = fate(of: unit, Int(choice[index]))
        if let last = bytes.last, last.file == file, last.fate == fate, last.range.upperBound == range.lowerBound {
          bytes[bytes.count - 1].range = last.range.lowerBound..<range.upperBound
        } else {
          bytes.append((Int32(file), range, fate))
        }
      case .size(let file, _): sizes.append("*\(recording.name(Int32(file))): an older size*")
      case .changes(let changes):
        for change in changes.missing(Int(choice[index])) {
          names.append("*never durable: \(recording.text(recording.operations[change.operation]))*")
        }
      }
    }
    let losses =
      names + sizes
      + bytes.map { "*\(recording.name($0.file)) bytes \($0.range.lowerBound)..<\($0.range.upperBound): \($0.fate)*" }
    if losses.count <= limit { return losses }
    return losses.prefix(limit - 1) + ["*and \(losses.count - limit + 1) more*"]
  }

  private func fate(of unit: UnitAlternatives, _ alternative: Int) -> String {
    if unit.isUnreadable(alternative) { return "cannot be read" }
    if alternative == 0 { return "as before" }
    return showsForeign(unit, alternative) ? "what somebody else had left there" : "an older version"
  }

  /// Whether the alternative is of bytes that were never written there.
  private func showsForeign(_ unit: UnitAlternatives, _ alternative: Int) -> Bool {
    profile.showsForeignBytes && !unit.isWritten(alternative) && unit.isPresent(alternative)
      && !unit.isUnreadable(alternative)
  }
}
