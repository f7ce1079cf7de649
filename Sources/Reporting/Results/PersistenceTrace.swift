import CProcess

/// The persistence trace of a trial: every operation between engine and storage, with the engine's acknowledgements, in
/// one order. It is read from the text that `Storage.Trace` writes, one entry a line: `sequence nanoseconds event`.
public struct PersistenceTrace: Hashable, Sendable {
  public enum Event: Hashable, Sendable {
    /// `details` is what follows the path: `@4096+512 durable 9c1b...`.
    case submitted(number: Int, kind: String, path: String, details: String)
    /// A value, an errno, negative, or `Int.min` for a failure without one.
    case completed(number: Int, result: Int)
    /// `orders/0 < 5`: everything of the partition before offset 5.
    case acknowledged(String)
    case phase(String)
    case fault(String)
    /// What another build wrote.
    case other(String)
  }

  public struct Entry: Hashable, Sendable {
    /// Since the first entry.
    public var nanoseconds: Int
    public var event: Event
  }

  /// The lives of the trial's processes, in order.
  public private(set) var lives: [[Entry]] = []

  /// - Parameter text: of the file. What is no entry is passed over: a kill may have cut the last line.
  public init(_ text: String) {
    var start: Int?
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: " ", maxSplits: 2)
      guard parts.count == 3, let time = Int(parts[1]) else { continue }
      let event = Self.event(parts[2])
      start = start ?? time
      if case .phase(let name) = event, name.hasPrefix("life ") { lives.append([]) }
      if lives.isEmpty { lives.append([]) }
      lives[lives.count - 1].append(Entry(nanoseconds: time - (start ?? time), event: event))
    }
  }

  private static func event(_ text: Substring) -> Event {
    let words = text.split(separator: " ")
    func number(_ at: Int) -> Int? { at < words.count ? Int(words[at].drop { $0 == "#" }) : nil }
    switch words.first {
    case ">":
      guard words.count >= 4, let n = number(1) else { return .other(String(text)) }
      return .submitted(
        number: n, kind: String(words[2]), path: String(words[3]), details: words.dropFirst(4).joined(separator: " "))
    case "<":
      guard words.count == 3, let n = number(1), let result = Int(words[2]) else { return .other(String(text)) }
      return .completed(number: n, result: result)
    case "ACK": return .acknowledged(String(text.dropFirst(4)))
    case "--": return .phase(String(text.dropFirst(3)))
    case "!!": return .fault(String(text.dropFirst(3)))
    default: return .other(String(text))
    }
  }

  /// Operations that change what a crash leaves, or that say what it must leave.
  static let changes: Set<String> = [
    "write", "sync", "truncate", "makeDirectory", "syncDirectory", "rename", "unlink",
  ]

  /// What a negative result says: `ENOENT`.
  public static func errorName(_ result: Int) -> String {
    // As `TracingStorage` writes it: the power was cut, or the device took too little.
    if result == .min { return "failed, with no errno" }
    return tl_errno_name(Int32(truncatingIfNeeded: -result)).map { String(cString: $0) } ?? "errno \(-result)"
  }
}

extension PersistenceTrace {
  /// What the signs mean, for whoever reads the lines.
  public static let legend = [
    "Times are milliseconds from the start of the trial.",
    "> #8 write F @4096+512 durable   operation 8 begins: 512 bytes at byte 4096 of file F, synced with the write",
    "< #8 write F: 512                it ended: 512 bytes. Where it failed, the error's name: ENOENT",
    "ACK orders/0 < 5                 the engine has acknowledged all of partition 0 before offset 5",
    "-- recover                       a part of the trial begins; each life is one process",
    "!! process-kill                  a fault fired",
  ]

  /// Lines of a life that are shown unless all are asked for.
  static let (head, tail) = (15, 45)

  /// Lines for a person.
  /// - Parameters:
  ///   - whole: all of them. Else reads and look-ups that went well are counted, and of what is left the middle of a
  ///     long life, but nothing of `focus`.
  ///   - focus: files of which nothing is left out: those in which something was lost.
  public func lines(whole: Bool, focus: Set<String> = []) -> [String] {
    lives.flatMap { life in
      let operations = Self.operations(life)
      guard !whole else { return life.map { Self.line($0, operations) } }
      let kept = life.indices.filter { Self.matters(life[$0], operations) }
      let middle = kept.dropFirst(Self.head).dropLast(Self.tail).filter {
        Self.path(life[$0], operations).map(focus.contains) != true
      }
      let cut = Set(middle)
      var (lines, quiet, left) = ([String](), 0, 0)
      func skipped() -> [String] {
        var parts: [String] = []
        if left > 0 { parts.append("\(counted(left, "line")) of operations and acknowledgements") }
        if quiet > 0 { parts.append("\(counted(quiet, "line")) of reads and look-ups") }
        return parts.isEmpty ? [] : ["               ... \(parts.joined(separator: ", "))"]
      }
      let shown = Set(kept).subtracting(cut)
      for index in life.indices {
        if shown.contains(index) {
          lines += skipped() + [Self.line(life[index], operations)]
          (quiet, left) = (0, 0)
        } else if cut.contains(index) {
          left += 1
        } else {
          quiet += 1
        }
      }
      return lines + skipped()
    }
  }

  private typealias Operation = (kind: String, path: String)

  private static func operations(_ life: [Entry]) -> [Int: Operation] {
    var known: [Int: Operation] = [:]
    for entry in life {
      if case .submitted(let number, let kind, let path, _) = entry.event { known[number] = (kind, path) }
    }
    return known
  }

  private static func path(_ entry: Entry, _ operations: [Int: Operation]) -> String? {
    switch entry.event {
    case .submitted(_, _, let path, _): path
    case .completed(let number, _): operations[number]?.path
    default: nil
    }
  }

  /// A file that is not there is no error: an engine looks whether it is.
  private static func matters(_ entry: Entry, _ operations: [Int: Operation]) -> Bool {
    switch entry.event {
    case .submitted(_, let kind, _, _): changes.contains(kind)
    case .completed(let number, let result):
      operations[number].map { changes.contains($0.kind) } == true || (result < 0 && errorName(result) != "ENOENT")
    case .acknowledged, .phase, .fault, .other: true
    }
  }

  private static func line(_ entry: Entry, _ operations: [Int: Operation]) -> String {
    let text =
      switch entry.event {
      case .submitted(let number, let kind, let path, let details):
        "> #\(number) \(kind) \(path)\(details.isEmpty ? "" : " ")\(details)"
      case .completed(let number, let result):
        "< #\(number) \(operations[number].map { "\($0.kind) \($0.path): " } ?? "")"
          + (result < 0 ? errorName(result) : "\(result)")
      case .acknowledged(let text): "ACK \(text)"
      case .phase(let name): "-- \(name)"
      case .fault(let text): "!! \(text)"
      case .other(let text): text
      }
    return "\((Double(entry.nanoseconds) / 1e6).fixed(3).leftPadded(12)) ms  \(text.printable)"
  }
}
