import CrashStates
import Drivers
import LogModel
import VolumeStates

extension DriverRequest {
  /// In a few words, as a story tells it.
  package var text: String {
    func short(_ value: String) -> String { String(value.prefix { $0 != ":" }.prefix(16)) }
    switch self {
    case .hello, .flush, .check, .close: return name
    case .open(_, let create, _): return create ? "open (new)" : "open"
    case .append(let log, let value): return "append \(short(value)) to \(log)"
    case .take(let log): return "take from \(log)"
    case .put(let key, let value): return "put \(key) = \(short(value))"
    case .delete(let key): return "delete \(key)"
    case .get(let key): return "get \(key)"
    case .scan(let log): return log.map { "scan \($0)" } ?? "scan"
    case .transaction(let changes):
      let parts = changes.map { change in
        switch change {
        case .put(let key, let value): "\(key) = \(short(value))"
        case .delete(let key): "no \(key)"
        }
      }
      return "txn \(parts.joined(separator: ", "))"
    }
  }
}

/// What led to a broken promise, in ten lines at the most: what was done to the files, what the caller was told, what
/// the power cut took, and what was missed.
struct ProgramStory {
  static let mostLines = 10

  private(set) var lines: [String] = []

  /// - Parameters:
  ///   - point: nil where the program was killed, and nothing is lost.
  init(
    _ program: RecordedProgram, until event: Int, _ point: CrashPoint?, _ choice: [Alternative], outcome: String
  ) {
    let losses = point?.losses(choice, program.recording, limit: 3) ?? []
    let ending = [point == nil ? "kill -9" : "power cut"] + losses.map { $0.replacing("*", with: "") } + [outcome]
    let steps = Self.steps(program, until: event)
    let room = max(1, Self.mostLines - ending.count)
    var shown = Array(steps.suffix(room))
    if steps.count > room {
      shown = ["... \(steps.count - room + 1) lines before"] + steps.suffix(room - 1)
    }
    lines = shown + ending
  }

  /// Operations on one file that follow each other stand in one line, three at the most, with the answers after them.
  static func steps(_ program: RecordedProgram, until event: Int) -> [String] {
    var answers: [Int: [String]] = [:]
    for case .request(let record) in program.events {
      guard let answered = record.answered else { continue }
      switch record.outcome {
      case .done: answers[answered, default: []].append("ACK \(record.request.text)")
      case .failed, .unknown: answers[answered, default: []].append("refused: \(record.request.text)")
      }
    }
    var lines: [(text: String, file: Int32?, count: Int)] = []
    let recording = program.recording
    var crashes = program.events.compactMap { event in if case .crash(let place) = event { place } else { nil } }
    for (number, what) in recording.events[..<event].enumerated() {
      if let crash = crashes.first, program.recorded.sequences[number] >= crash {
        crashes.removeFirst()
        lines.append(("kill -9, and a restart", nil, 0))
      }
      switch what.what {
      case .submitted(let operation):
        let subject = recording.operations[operation].file
        if let last = lines.last, subject != nil, last.file == subject, last.count < 3 {
          lines[lines.count - 1].text += "; \(recording.verb(recording.operations[operation]))"
          lines[lines.count - 1].count += 1
        } else {
          lines.append((recording.text(recording.operations[operation]), subject, 1))
        }
      case .completed(let operation, let succeeded, let taken):
        let ending = recording.ending(of: operation, succeeded, taken)
        if !ending.isEmpty, !lines.isEmpty { lines[lines.count - 1].text += ending }
      case .fact:
        guard let answer = answers[program.recorded.sequences[number]]?.joined(separator: "; ") else { continue }
        if lines.isEmpty {
          lines.append((answer, nil, 0))
        } else {
          lines[lines.count - 1].text += "; \(answer)"
          lines[lines.count - 1].count = 3
        }
      case .changed: break
      }
    }
    return lines.map(\.text)
  }
}

extension DiskOperation {
  /// The file whose content it changes or syncs.
  fileprivate var file: Int32? {
    switch self {
    case .write(let file, _, _, _), .truncate(let file, _), .sync(let file, _), .allocate(let file, _, _),
      .zero(let file, _):
      file
    default: nil
    }
  }
}
