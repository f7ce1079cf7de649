import LogModel

/// Something that a check of a log has found.
public struct LogFinding: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Bytes that were an entry, or whose entry cannot be recognised.
    case damaged
    /// What a crash may leave of an append that was not acknowledged, or what is left of a file that was cut.
    case tornTail = "torn-tail"
    /// Offsets that have to be there, and are not, though no bytes are damaged.
    case gap
    /// Offsets that stand there a second time.
    case duplicate
    /// An entry of an older writer stands behind one of a newer one.
    case epoch
    /// A file between two others is not there.
    case missingFile = "missing-file"
    /// The device could not read the bytes.
    case unreadable
    /// The search behind damage was given up.
    case undecided
    /// The file was changed while it was read.
    case changed
    /// Bytes that carry nothing: the remains of a failed write, whose messages stand elsewhere.
    case remains
    /// A segment that a newer writer has passed over.
    case void

    /// What it makes of the whole.
    public var verdict: LogVerdict {
      switch self {
      case .damaged, .gap, .duplicate, .epoch, .missingFile: .damaged
      case .unreadable, .undecided, .changed: .unknown
      case .tornTail, .remains, .void: .sound
      }
    }
  }

  public var kind: Kind
  public var file: String
  /// Of the file; empty where no bytes are meant.
  public var bytes: Range<Int64>
  /// What is meant, or lost.
  public var offsets: Range<Int64>?
  public var damage: LogDamage?
  /// The number of the entry in its file, counted from 0 over valid and damaged ones.
  public var number: Int?
  public var text: String

  init(
    _ kind: Kind, _ file: String, _ bytes: Range<Int64>, offsets: Range<Int64>? = nil, damage: LogDamage? = nil,
    number: Int? = nil, _ text: String
  ) {
    (self.kind, self.file, self.bytes, self.offsets, self.damage) = (kind, file, bytes, offsets, damage)
    (self.number, self.text) = (number, text)
  }
}

/// What a check of a log came to.
public enum LogVerdict: String, Hashable, Sendable, Comparable {
  case sound
  case unknown
  case damaged

  private var order: Int { self == .sound ? 0 : self == .unknown ? 1 : 2 }
  public static func < (a: Self, b: Self) -> Bool { a.order < b.order }
  /// The exit code of `tornlog wal verify`.
  public var exitCode: Int32 { self == .sound ? 0 : self == .damaged ? 1 : 2 }
}
