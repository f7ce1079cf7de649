/// Which names an engine takes. One rule for the engine and for whoever asks before it runs.
///
/// Names become names of directories and files below one directory, and fields of metadata that tabs separate.
public struct NameRule: Hashable, Sendable {
  /// Bytes of the longest name.
  public let longest: Int
  /// Whether a name may hold a full stop.
  public let allowsDots: Bool

  /// Topics and consumer groups. The longest is Kafka's: a directory `<topic>-<partition>` fits 255 bytes (NAME_MAX,
  /// limits.h).
  public static let topic = NameRule(longest: 249, allowsDots: true)
  /// Topics of another system's log, whose files are named `<topic>-<partition>.wal.<n>`, and longer where they are set
  /// aside.
  public static let topicOfRecordLog = NameRule(longest: 200, allowsDots: true)
  /// Jobs, whose logs are named `<job>.<execution>.wal`: a full stop in the job would make two of them one.
  public static let job = NameRule(longest: 100, allowsDots: false)

  /// Topics whose partitions are jobs, named `<topic>-<n>` with n below 10 000.
  public static let topicOfJobs = NameRule(longest: 95, allowsDots: false)

  /// The topics of an engine that keeps the logs of `system`.
  public static func topic(of system: LogSystem) -> NameRule { system == .tornlog ? topic : topicOfRecordLog }

  public init(longest: Int, allowsDots: Bool) {
    self.longest = longest
    self.allowsDots = allowsDots
  }

  public func allows(_ name: String) -> Bool {
    (1...longest).contains(name.utf8.count) && name != "." && name != ".." && name.utf8.allSatisfy(isAllowed)
  }

  /// Why `name` is none; nil where it is one.
  public func problem(of name: String) -> NameProblem? {
    guard !allows(name) else { return nil }
    if name.isEmpty { return NameProblem(self, .empty) }
    if let scalar = name.unicodeScalars.first(where: { $0.value > 127 || !isAllowed(UInt8($0.value)) }) {
      return NameProblem(self, .character(scalar))
    }
    return NameProblem(self, name.utf8.count > longest ? .tooLong(bytes: name.utf8.count) : .reserved)
  }

  /// `1 to 249 of A-Z a-z 0-9 . _ -`
  public var words: String { "1 to \(longest) of A-Z a-z 0-9\(allowsDots ? " ." : "") _ -" }

  private func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    case UInt8(ascii: "."): allowsDots
    default: false
    }
  }
}

/// What a name offends against.
public struct NameProblem: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Reason: Hashable, Sendable {
    case empty
    case tooLong(bytes: Int)
    /// `.` and `..`: the directory itself, and the one above.
    case reserved
    case character(Unicode.Scalar)
  }

  public let rule: NameRule
  public let reason: Reason

  public init(_ rule: NameRule, _ reason: Reason) {
    self.rule = rule
    self.reason = reason
  }

  /// `it holds '/'; use 1 to 249 of A-Z a-z 0-9 . _ -`
  public var description: String {
    let text =
      switch reason {
      case .empty: "it is empty"
      case .tooLong(let bytes): "it has \(bytes) bytes"
      case .reserved: "it is a directory's own name"
      case .character(let scalar) where (33...126).contains(scalar.value): "it holds '\(scalar)'"
      case .character(" "): "it holds a space"
      case .character(let scalar):
        "it holds the character U+\(String(repeating: "0", count: max(0, 4 - hex(scalar).count)))\(hex(scalar))"
      }
    return "\(text); use \(rule.words)"
  }

  private func hex(_ scalar: Unicode.Scalar) -> String { String(scalar.value, radix: 16, uppercase: true) }
}
