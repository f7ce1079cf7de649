import LogModel

/// Something that belongs in the trace and is not an operation.
public enum TraceNote: Hashable, Sendable {
  /// The engine has told producers that everything in the partition before `upTo` is accepted under its policy.
  case acknowledged(TopicPartition, upTo: Offset)
  /// A new part of the trial begins: produce, recover, verify ...
  case phase(String)
  /// A fault has fired.
  case fault(String)
}

/// One operation as it was submitted.
public struct TracedOperation: Hashable, Sendable {
  public var kind: OperationKind
  public var path: String
  /// Byte position of a read or write; the new size of a truncate; 0 elsewhere.
  public var offset: Int64
  /// Bytes of a read or write; 0 elsewhere.
  public var length: Int
  /// Open mode, durability or sync scope, as its raw value.
  public var flags: UInt8
  /// New path of a rename.
  public var destination: String?
  /// A content hash of what was written (FNV-1a over 8-byte words); 0 elsewhere.
  public var contentHash: UInt64
  /// What was written, where the recorder was asked to keep it.
  public var payload: [UInt8]?
}

public enum TraceEvent: Hashable, Sendable {
  case submitted(UInt64, TracedOperation)
  /// The operation of that number ended, with its value (bytes moved, size, handle) or its errno, negative.
  case completed(UInt64, result: Int64)
  case note(TraceNote)
}

public struct TraceEntry: Hashable, Sendable {
  /// Place in the trace, from 0: the one order of everything that passed.
  public var sequence: UInt64
  public var time: Instant
  public var event: TraceEvent
}

/// The persistence trace: every pass of the storage interface, in the order of submission and of completion, with the
/// engine's acknowledgements in the same sequence.
public final class Trace: @unchecked Sendable {
  // Owned by the loop of the storage that it records.

  public private(set) var entries: [TraceEntry] = []
  public let keepsPayloads: Bool
  private let observer: ((TraceEntry) -> Void)?

  /// - Parameter observer: is told each entry as it is made, so that a trace outlives the process that makes it.
  public init(keepsPayloads: Bool = false, observer: ((TraceEntry) -> Void)? = nil) {
    self.keepsPayloads = keepsPayloads
    self.observer = observer
  }

  @discardableResult
  func append(_ event: TraceEvent, at time: Instant) -> UInt64 {
    let sequence = UInt64(entries.count)
    entries.append(TraceEntry(sequence: sequence, time: time, event: event))
    observer?(entries[entries.count - 1])
    return sequence
  }
}

extension TraceEntry: CustomStringConvertible {
  /// One line: `sequence nanoseconds event`, the same bytes for the same trace.
  public var description: String {
    "\(sequence) \(time.nanoseconds) \(event)"
  }
}

extension TraceEvent: CustomStringConvertible {
  public var description: String {
    switch self {
    case .submitted(let number, let o):
      var text = "> #\(number) \(o.kind.rawValue) \(o.path.isEmpty ? "." : o.path)"
      if let destination = o.destination { text += " -> \(destination)" }
      switch o.kind {
      case .read: text += " @\(o.offset)+\(o.length)"
      case .write:
        text +=
          " @\(o.offset)+\(o.length)\(o.flags == WriteDurability.durable.rawValue ? " durable" : "") "
          + "\(String(o.contentHash, radix: 16))"
      case .truncate: text += " to \(o.offset)"
      case .open: text += " mode \(o.flags)"
      case .sync: text += o.flags == SyncScope.data.rawValue ? " data" : " all"
      default: break
      }
      return text
    case .completed(let number, let result): return "< #\(number) \(result)"
    case .note(.acknowledged(let partition, let upTo)): return "ACK \(partition) < \(upTo)"
    case .note(.phase(let name)): return "-- \(name)"
    case .note(.fault(let text)): return "!! \(text)"
    }
  }
}
