import CrashStates
import LogModel
import Verification

/// What led to a violation, in ten lines at the most: what was done to the files that matter, the acknowledgements,
/// what the power cut took, and what was missed afterwards.
///
/// Files that matter are those of which the power cut took something, and the log of the partition in which the harm
/// was seen. What does not fit is left out from the beginning, and said so.
struct FindingNarrative {
  static let lineLimit = 10

  /// Operations in the lines.
  private(set) var operations = 0
  /// Lines that did not fit.
  private(set) var leftOut = 0
  private(set) var lines: [String] = []

  init(_ scene: CrashScene, _ check: CheckResult) {
    let outer = scene.flying.view(scene.choice)
    let matter = Matter(outer, scene.recording, check, upTo: scene.moment)
    var first = Self.merged(matter.steps(of: scene.recording, upTo: scene.moment, without: outer.dropped))
    let losses = outer.point.losses(outer.choice, scene.recording, limit: scene.inner == nil ? 3 : 1)
    var second: [Step] = []
    var last: [String] = []
    if let inner = scene.inner {
      let view = scene.flyingInside(inner).view(inner.choice)
      let recording = inner.recovery.recording
      second = Self.merged(
        Matter(view, recording, check, upTo: inner.event).steps(of: recording, upTo: inner.event, without: view.dropped)
      )
      second.insert(Step(text: "recovery:"), at: 0)
      last = ["power cut inside the recovery"] + view.point.losses(view.choice, recording, limit: 1)
    }
    last.append(Self.outcome(check, isInterrupted: scene.inner != nil))
    let room = Self.lineLimit - 1 - losses.count - last.count
    let forSecond = min(second.count, max(1, room - min(first.count, 3)))
    second = shortened(second, to: second.isEmpty ? 0 : forSecond)
    first = shortened(first, to: room - second.count)
    operations = (first + second).reduce(0) { $0 + $1.operations }
    lines = first.map(\.text) + ["power cut"] + losses + second.map(\.text) + last
  }

  private struct Step {
    var text: String
    var operations = 0
    /// The file that it works on, and what it does there.
    var file: Int32?
    var verb = ""
    /// It says what became of the operations before it, and stands in their line.
    var isAnswer = false
  }

  /// Operations on one file that follow each other in one line, three at the most, with their acknowledgements.
  private static func merged(_ steps: [Step]) -> [Step] {
    var lines: [Step] = []
    for step in steps {
      if let last = lines.last, last.file != nil, step.isAnswer || last.file == step.file && last.operations < 3 {
        lines[lines.count - 1].text += "; \(step.verb)"
        lines[lines.count - 1].operations += step.operations
      } else {
        lines.append(step)
      }
    }
    return lines
  }

  private mutating func shortened(_ steps: [Step], to room: Int) -> [Step] {
    guard steps.count > room else { return steps }
    let kept = max(0, room - 1)
    leftOut += steps.count - kept
    let note = Step(text: "... \(steps.count - kept) steps before")
    return (room > 0 ? [note] : []) + steps.suffix(kept)
  }

  private static func outcome(_ check: CheckResult, isInterrupted: Bool) -> String {
    let isSecond = check.restart == (isInterrupted ? 3 : 2)
    let when = isSecond ? "after an append, a power cut and a second recovery" : "after recovery"
    guard let at = check.divergence else { return "\(when): \(check.name.rawValue)" }
    return "\(when): \(check.name.rawValue), partition \(at.partition.index), offset \(at.offset)"
  }

  /// The files and directories that matter.
  private struct Matter {
    private var files: Set<Int32> = []
    private var directories: Set<Int32> = []
    private var partition: Int?

    init(_ view: FlyingOperations.View, _ recording: Recording, _ check: CheckResult, upTo end: Int) {
      for (index, piece) in view.point.pieces.enumerated() where Int(view.choice[index]) != piece.newest {
        switch piece {
        case .sectors(let file, _), .size(let file, _): files.insert(Int32(file))
        case .changes(let changes):
          for change in changes.missing(Int(view.choice[index])) { note(change.effect, recording) }
        }
      }
      partition = check.divergence?.partition.index
      let all = recording.inodes.files
      if let partition { files.formUnion(all.filter { recording.partition(ofFile: $0) == partition }) }
      // The engine says itself what keeps it from opening.
      if files.isEmpty { files = Set(all.filter { check.files.contains(recording.name($0)) }) }
      if files.isEmpty, let last = recording.lastFile(upTo: end, without: view.dropped) { files = [last] }
      for file in files { directories.insert(recording.table.parents[Int(recording.inodes.homes[Int(file)])]) }
    }

    private mutating func note(_ change: VolatileDisk.Change.Effect, _ recording: Recording) {
      switch change {
      case .link(_, let inode), .attributes(let inode), .mark(let inode): insert(inode, recording)
      case .unlink, .rename, .exchange: break
      }
      for entry in change.entries {
        for file in recording.inodes.files where recording.hasMade(file, at: entry) { files.insert(file) }
      }
    }

    private mutating func insert(_ inode: InodeNumber, _ recording: Recording) {
      if recording.inodes.kinds[Int(inode)] != .directory { files.insert(inode) }
    }

    private func concerns(_ operation: DiskOperation, _ recording: Recording) -> Bool {
      if let file = operation.file { return files.contains(file) }
      switch operation {
      case .syncDirectory(let inode): return directories.contains(recording.inodes.homes[Int(inode)])
      case .rename(let from, let to), .exchange(let from, let to):
        return files.contains { recording.hasMade($0, at: from) || recording.hasMade($0, at: to) }
      case .unlink(let entry): return files.contains { recording.hasMade($0, at: entry) }
      case .syncAll: return true
      default: return false
      }
    }

    /// What was done before the power cut, in the order of completion; last what was still in flight and happened.
    func steps(of recording: Recording, upTo end: Int, without dropped: Set<Int>) -> [Step] {
      var steps: [Step] = []
      var flying: [Int] = []
      let requests = recording.requests
      func step(_ number: Int, _ ending: String) -> Step {
        let operation = recording.operations[number]
        return Step(
          text: recording.text(operation) + ending, operations: 1, file: operation.file,
          verb: recording.verb(operation) + ending)
      }
      for event in recording.events[..<end] {
        switch event.what {
        case .changed(let number, _):
          guard flying.contains(number) else { continue }
          steps.append(Step(text: "its buffer changes in flight: \(recording.text(recording.operations[number]))"))
        case .submitted(let number): if concerns(recording.operations[number], recording) { flying.append(number) }
        case .completed(let number, let succeeded, let taken):
          guard let place = flying.firstIndex(of: number) else { continue }
          flying.remove(at: place)
          steps.append(step(number, recording.ending(of: number, succeeded, taken)))
        case .fact: if let step = answer(event.fact, requests) { steps.append(step) }
        }
      }
      return steps + flying.filter { !dropped.contains($0) }.map { step($0, " (in flight)") }
    }

    private func answer(_ fact: RecordedFact?, _ requests: [ProduceRequest]) -> Step? {
      switch fact {
      case .answered(let n, .acknowledged, let base):
        let request = requests[n]
        guard partition == nil || partition == request.partition else { return nil }
        let offsets = request.count == 1 ? "offset \(base)" : "offsets \(base) ..< \(base + request.count)"
        let text = "ACK partition \(request.partition), \(offsets)"
        return Step(text: text, verb: text, isAnswer: true)
      case .said(let text): return Step(text: text)
      default: return nil
      }
    }
  }
}

extension Recording {
  /// The file of the last operation that was submitted and happened: one in flight is there because it is needed.
  fileprivate func lastFile(upTo end: Int, without dropped: Set<Int>) -> Int32? {
    for event in events[..<end].reversed() {
      if case .submitted(let number) = event.what, !dropped.contains(number), let file = operations[number].file {
        return file
      }
    }
    return nil
  }
}

extension DiskOperation {
  /// The file that it works on; nil for directories and names.
  fileprivate var file: InodeNumber? {
    switch self {
    case .create(_, let file), .link(_, let file), .attributes(let file, _), .write(let file, _, _, _),
      .truncate(let file, _), .allocate(let file, _, _), .zero(let file, _), .sync(let file, _):
      file
    case .unlink, .rename, .exchange, .syncDirectory, .syncAll: nil
    }
  }
}

extension StateExaminer.Violation {
  func described(_ exploration: Exploration, _ profile: CrashProfile, states: Int) -> StateViolation {
    let story = FindingNarrative(scene, check)
    let state = scene.state(exploration, profile)
    return StateViolation(
      check: check.name, detail: check.detail, divergence: check.divergence, states: states, moment: scene.moment,
      story: story.lines, storyOperations: story.operations, storyIsWhole: story.leftOut == 0, state: state,
      reproduce: "tornlog reproduce \(CrashStateToken.encode(state))")
  }
}

extension Recording {
  /// Whether a file was made under the name of this entry.
  fileprivate func hasMade(_ file: InodeNumber, at entry: EntryNumber) -> Bool {
    inodes.homes[Int(file)] == inodes.entryPaths[Int(entry)]
  }

  /// Of a file of a partition's log, `topics/TOPIC/PARTITION/NAME`; nil for others.
  func partition(ofFile file: Int32) -> Int? {
    let parts = name(file).split(separator: "/")
    return parts.count == 4 && parts[0] == "topics" ? Int(parts[2]) : nil
  }
}
