extension Recording {
  /// The path that a file was created under.
  package func name(_ file: Int32) -> String { table.paths[Int(filePaths[Int(file)])] }

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
    func path(_ number: Int32) -> String { number == PathTable.root ? "the root directory" : table.paths[Int(number)] }
    return switch operation {
    case .create(let place, _): "create \(path(place))"
    case .makeDirectory(let place): "make directory \(path(place))"
    case .rename(let from, let to): "rename \(path(from)) to \(path(to))"
    case .unlink(let place): "unlink \(path(place))"
    case .write(let file, let offset, let bytes, let durable):
      "write \(name(file)) @\(offset)+\(bytes.count)\(durable ? " durable" : "")"
    case .truncate(let file, let size): "truncate \(name(file)) to \(size)"
    case .sync(let file, let isFull): "\(isFull ? "fsync" : "fdatasync") \(name(file))"
    case .syncDirectory(let place): "sync directory \(path(place))"
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
  /// What the power cut took, a line for each piece that is not as it was last written, or a note on those that do not
  /// fit.
  /// - Parameter limit: of lines, from 1.
  package func losses(_ choice: [Alternative], _ recording: Recording, limit: Int) -> [String] {
    var losses: [String] = []
    for (index, piece) in pieces.enumerated() where Int(choice[index]) != piece.newest {
      switch piece {
      case .sectors(let file, let first, let contents, _):
        let bytes = first * SectorStore.size..<(first + contents[0].count) * SectorStore.size
        let fate = fate(of: index, choice[index])
        losses.append("*\(recording.name(Int32(file))) bytes \(bytes.lowerBound)..<\(bytes.upperBound): \(fate)*")
      case .size(let file, _): losses.append("*\(recording.name(Int32(file))): an older size*")
      case .names(let changes, _):
        for change in changes.dropFirst(Int(choice[index])) {
          losses.append("*never durable: \(recording.text(change))*")
        }
      }
    }
    if losses.count > limit {
      losses = Array(losses.prefix(limit - 1)) + ["*and \(losses.count - limit + 1) pieces more*"]
    }
    return losses
  }

  private func fate(of piece: Int, _ alternative: Alternative) -> String {
    if isUnreadable(piece, alternative) { return "cannot be read" }
    if alternative == 0 { return "as before" }
    return showsForeign(piece, alternative) ? "what somebody else had left there" : "an older version"
  }

  /// Whether the alternative is of bytes that were never written there.
  private func showsForeign(_ piece: Int, _ alternative: Alternative) -> Bool {
    guard profile.showsForeignBytes, case .sectors(_, _, let contents, let newest) = pieces[piece] else { return false }
    let last = contents.lastIndex { !$0.contains(SectorStore.unreadable) }
    return Int(alternative) > newest && Int(alternative) == last
  }
}
