import CProcess
import LogModel
import Storage

/// Bytes of a file.
public struct FileRange: Hashable, Sendable, Codable, CustomStringConvertible {
  public var path: String
  public var range: Range<Int64>

  public init(_ path: String, _ range: Range<Int64>) {
    self.path = path
    self.range = range
  }

  public var description: String { "bytes \(range.lowerBound)..<\(range.upperBound) of \(path)" }
}

/// The evidence that a fault at the storage interface has fired, and what it did.
public struct StorageFaultReceipt: Hashable, Sendable, Codable {
  /// What the caller got for an answer.
  public enum Answer: Hashable, Sendable, Codable {
    /// What the base said, perhaps later.
    case asUsual
    /// Success, for something else than what happened.
    case falseSuccess
    /// Fewer bytes than asked.
    case short(Int)
    /// An errno.
    case error(Int32)
    /// None: a crash, or a stall without end.
    case none
  }

  /// Who can know.
  public enum Detection: String, Hashable, Sendable, Codable, CaseIterable {
    /// The caller was told that something is wrong.
    case reported
    /// The caller was not told; the bytes in question are not what anybody wrote, so that a checksum over them fails.
    /// At the end of a log they may pass for a torn tail.
    case evident
    /// The caller was not told, and what stands there is whole by itself: older bytes, or bytes meant for elsewhere.
    case hidden
  }

  /// Place among the storage's receipts, from 0.
  public var number: Int
  /// Index of the fault in its plan.
  public var planned: Int
  public var kind: FaultKind
  public var operation: OperationKind
  /// Of the operation; `offset` and `length` in bytes, 0 for operations without.
  public var path: String
  public var offset: Int64
  public var length: Int
  /// The operation's place among all that passed, from 1.
  public var operationNumber: UInt64
  public var instant: Instant
  /// Content that is not, or after a power loss need not be, what callers wrote last or were told that they did.
  public var destroyed: [FileRange]
  /// Content that a refused sync was to make durable: it stands in the page cache, and goes with the next power loss
  /// unless another sync writes it.
  public var atRisk: [FileRange] = []
  /// Content that a read brought wrong and that is unharmed on the medium.
  public var misread: [FileRange] = []
  /// Directory entries that no sync covers any more: they go with the next power loss, and what is below them.
  public var entries: [String] = []
  public var answer: Answer
  public var detection: Detection
  /// The receipt of the firing that this follows from: the error that a latent sector or a late report leads to.
  public var follows: Int?
  /// What the kind alone does not tell.
  public var detail: String

  /// Whether the caller was told, then and there, that a change had not been made, or was not durable: nothing may be
  /// acknowledged on the strength of it from then on.
  public var isTold: Bool {
    switch (answer, operation) {
    case (.error, .write), (.error, .sync), (.error, .syncDirectory), (.error, .truncate), (.error, .rename),
      (.error, .unlink), (.error, .makeDirectory), (.short, .write):
      kind != .latentSectorError
    default: false
    }
  }

  /// Whether the caller, or a checksum over the bytes, can tell.
  public var isDetectable: Bool { detection != .hidden }
}

extension StorageFaultReceipt: CustomStringConvertible {
  public var description: String {
    var text = "\(kind.rawValue) on \(operation.rawValue) #\(operationNumber) of \(path.isEmpty ? "the root" : path)"
    if length > 0 { text += " @\(offset)+\(length)" }
    if !detail.isEmpty { text += ": \(detail)" }
    for place in destroyed.prefix(4) { text += "; \(place)" }
    if destroyed.count > 4 { text += " and \(destroyed.count - 4) more ranges" }
    for place in misread.prefix(4) { text += "; read wrong: \(place)" }
    for entry in entries.prefix(4) { text += "; entry \(entry)" }
    switch answer {
    case .asUsual: break
    case .falseSuccess: text += "; told success"
    case .short(let n): text += "; told \(n) bytes"
    case .error(let number): text += "; told \(errnoName(number))"
    case .none: text += "; told nothing"
    }
    for place in atRisk.prefix(4) { text += "; not synced: \(place)" }
    if let follows { text += follows < 0 ? "; follows from an earlier life" : "; follows receipt \(follows)" }
    return text
  }
}

/// The errno as it is called in C.
private func errnoName(_ number: Int32) -> String {
  tl_errno_name(number).map { String(cString: $0) } ?? "errno \(number)"
}
