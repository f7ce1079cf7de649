import LogModel
import Verification

extension ProfileRun.Finding {
  func violation(states: Int, _ run: ProfileRun, _ moment: Int) -> StateViolation {
    StateViolation(
      check: check.name, detail: check.detail, states: states, moment: moment, story: story(run, moment))
  }

  /// What happened, in ten lines at the most: the last operations on the files whose pieces were lost, the last
  /// acknowledgement, and the loss.
  private func story(_ run: ProfileRun, _ moment: Int) -> [String] {
    let recording = run.exploration.recording
    var losses: [String] = []
    var files: Set<Int32> = []
    for (index, piece) in point.pieces.enumerated() where Int(choice[index]) != piece.newest {
      switch piece {
      case .sectors(let file, let first, let contents, _):
        files.insert(Int32(file))
        let bytes = first * SectorStore.size..<(first + contents[0].count) * SectorStore.size
        let fate = choice[index] == 0 ? "as before" : "something else"
        losses.append("*\(recording.name(Int32(file))) bytes \(bytes.lowerBound)..<\(bytes.upperBound): \(fate)*")
      case .size(let file, _):
        files.insert(Int32(file))
        losses.append("*\(recording.name(Int32(file))): an older size*")
      case .names(let changes, _):
        for change in changes.dropFirst(Int(choice[index])) {
          if case .create(_, let file) = change { files.insert(file) }
          losses.append("*never durable: \(recording.text(change))*")
        }
      }
    }
    var steps: [String] = []
    var acknowledgement: String?
    for event in recording.events[..<moment].reversed() {
      switch event.what {
      case .completed(let number, true, _):
        guard steps.count < 4, let file = recording.operations[number].file, files.contains(file) else { continue }
        steps.append(recording.text(recording.operations[number]))
      case .fact(.answered(let n, .acknowledged, let base)) where acknowledgement == nil:
        let request = recording.requests[n]
        acknowledgement = "ACK partition \(request.partition), offsets \(base) ..< \(base + request.count)"
      default: break
      }
    }
    var lines = Array(steps.reversed())
    if let acknowledgement { lines.append(acknowledgement) }
    if losses.count > 3 { losses = Array(losses.prefix(2)) + ["*and \(losses.count - 2) pieces more*"] }
    lines += ["power cut after event \(moment)"] + losses
    if check.divergence?.restart == 2 { lines.append("recovery; an append to each partition; power cut; recovery") }
    return lines
  }
}

extension DiskOperation {
  /// The file that it works on; nil for directories.
  var file: Int32? {
    switch self {
    case .create(_, let file), .write(let file, _, _, _), .truncate(let file, _), .sync(let file, _): file
    case .makeDirectory, .rename, .unlink, .syncDirectory: nil
    }
  }
}

extension Recording {
  func name(_ file: Int32) -> String { table.paths[Int(filePaths[Int(file)])] }

  func text(_ operation: DiskOperation) -> String {
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
}
