import FaultInjection
import LogModel
import ScenarioFormat
import WriteAheadLog

/// What stands around the messages in files of a system's log: what is destroyed of it is destroyed of them. Byte
/// counts are in bytes; each is stated where the format is (BatchFormat.swift, SegmentHeader.swift, the codecs of
/// RecordLogs).
struct FileLayout: Hashable {
  /// Of a file, before the first message and what belongs to it.
  var headBytes: Int64 = 0
  /// Where a head stands twice, for recovery to make one copy from the other. Empty where no message depends on the
  /// head.
  var headCopies: [Range<Int64>] = []
  /// Before the first message of a request.
  var requestHeader: Int64
  /// Before any message, in `requestHeader` too.
  var messageHeader: Int64
  /// Behind a message, as far as its checksum reaches.
  var trailer: Int64 = 0
  /// Requests are padded to it, and their checksum covers that.
  var alignment: Int64 = 1

  init(_ system: LogSystem, topic: String) {
    switch system {
    case .tornlog:
      requestHeader = Int64(BatchHeader.size) + 8
      messageHeader = 8
      headBytes = 4096
      headCopies = [0..<512, 2048..<2560]
      alignment = 8
    case .streamhouse: (requestHeader, messageHeader) = (24, 24)
    case .airunner: (headBytes, requestHeader, messageHeader, trailer) = (16, 24, 24, 8)
    case .chronik: (requestHeader, messageHeader, trailer) = (30 + Int64(topic.utf8.count), 8, 20)
    case .chronikV1: (requestHeader, messageHeader, trailer) = (36, 36, 4)
    case .replayBuffer: (requestHeader, messageHeader, trailer) = (41, 41, 4)
    }
  }

  init(_ spec: TrialSpec) { self.init(spec.system, topic: spec.topic) }

  /// Whether requests are the engine's own batches, of which `BatchLayout` knows the parts.
  var isBatched: Bool { alignment > 1 }

  /// A part of what belongs to one message, in formats where that stands alone. Nil where there is none of it in the
  /// bytes.
  func place(of part: BatchPart, around message: Range<Int>, in count: Int) -> Range<Int>? {
    let start = max(0, message.lowerBound - Int(messageHeader))
    let place: Range<Int>? =
      switch part {
      case .batch: start..<min(count, message.upperBound + Int(trailer))
      case .header: start..<message.lowerBound
      case .payload: message
      case .checksum, .length, .offset, .records, .alignment, .padding: nil
      }
    return place.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The magic that the system's document has at the head of a file; nil where it has none, or none is written down.
  static func documentedMagic(_ system: LogSystem) -> [UInt8]? { system == .airunner ? Array("ARWAL001".utf8) : nil }

  /// Parts that a fault can be aimed at in formats that are not the engine's own.
  static let foreignParts: Set<BatchPart> = [.batch, .header, .payload]
}
