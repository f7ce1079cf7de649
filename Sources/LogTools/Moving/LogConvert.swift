import LogModel
import RecordLogs
import WriteAheadLog

/// The messages of a log, written in another format.
public struct LogConvert {
  public private(set) var messages = 0
  public private(set) var from: LogSystem = .tornlog
  public private(set) var size: Int64 = 0
  /// Places of the input that hold no entry.
  public private(set) var damaged = 0
  /// What the new format cannot say, one sentence each.
  public private(set) var losses: [String] = []

  private var target: any MessageWriter
  private var losesKeys = 0
  private var movesOffsets = false
  private var hasNoTime = false

  /// - Parameters:
  ///   - output: a new file.
  ///   - topic: for the head of a segment of our own, and for batches of chronik.
  public init(
    _ log: LogFiles, format: LogSystem? = nil, to system: LogSystem, output: String, topic: String = "converted"
  ) throws(LogToolError) {
    for path in log.paths { try Folders.requireDifferent(path, output) }
    target = MessageWriters.writer(system, topic)
    let file = try NewFile(output)
    var walk = LogWalk()
    var (made, expected): ([UInt8], Int64) = ([], 0)
    try walk.run(log, format: format) { (source, found) throws(LogToolError) in
      guard found.entry.count > 0 else { return }
      let offset = found.message.offset ?? expected
      guard (0...Offset.largest.rawValue) ~= offset else {
        throw .refused(
          path: source.path,
          why: "the message at byte \(found.message.position) has the number \(offset), which is no offset; "
            + "nothing was written")
      }
      if messages == 0 { try append(target.begin(offset), file) }
      if offset != expected, !target.carriesOffsets { movesOffsets = true }
      expected = offset + 1
      let key = source.system == .replayBuffer ? nil : found.bytes(found.message.key)
      if key != nil, key != [], !target.carriesKeys { losesKeys += 1 }
      if found.entry.timestamp == nil { hasNoTime = true }
      let time = found.entry.timestamp ?? source.modified * 1000
      made.removeAll(keepingCapacity: true)
      guard target.write(offset, time, key, found.bytes(found.message.value) ?? [], file.size, &made) else {
        throw .refused(
          path: source.path,
          why:
            "the message at offset \(offset) is larger than a record of \(system.rawValue) may be; nothing was written")
      }
      try append(made, file)
      messages += 1
    }
    if messages == 0 { try append(target.begin(0), file) }
    try file.finish()
    (size, damaged, from) = (file.size, walk.damaged, walk.system ?? system)
    noteLosses(system)
    let check = try LogCheck(LogFiles(name: output, paths: [output]), format: system, acceptsGaps: true)
    guard check.isSound, check.messages == messages else {
      throw .differs(path: output, why: "\(check.messages) of \(messages) messages")
    }
  }

  private func append(_ bytes: [UInt8], _ file: NewFile) throws(LogToolError) {
    var failure: LogToolError?
    bytes.withUnsafeBytes { raw in
      do throws(LogToolError) { try file.write(raw) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  private mutating func noteLosses(_ system: LogSystem) {
    if losesKeys > 0 { losses.append("\(losesKeys) keys: \(system.rawValue) has none") }
    if movesOffsets { losses.append("offsets: \(system.rawValue) carries none, and there were gaps") }
    if hasNoTime, system != .tornlog { losses.append("times: the log had no dates, the file's own stand for them") }
    if !hasNoTime, system == .tornlog { losses.append("times: a segment has no dates") }
    if damaged > 0 { losses.append("\(damaged) damaged places of the input") }
  }
}

/// Writes messages in one format.
protocol MessageWriter {
  var carriesOffsets: Bool { get }
  var carriesKeys: Bool { get }
  /// What stands before the first message, which has this offset.
  func begin(_ first: Int64) -> [UInt8]
  /// Appends the bytes of a message to `bytes`, which will stand at `position` of the file.
  /// - Returns: false where the format has no room for it.
  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool
}

extension MessageWriter {
  var carriesOffsets: Bool { true }
  var carriesKeys: Bool { true }
  func begin(_ first: Int64) -> [UInt8] { [] }
}

enum MessageWriters {
  static func writer(_ system: LogSystem, _ topic: String) -> any MessageWriter {
    switch system {
    case .tornlog: SegmentWriter(topic: topic)
    case .streamhouse: StreamhouseWriter()
    case .airunner: AirunnerWriter()
    case .chronik: ChronikV2Writer(topic: topic)
    case .chronikV1: ChronikV1Writer()
    case .replayBuffer: ReplayWriter()
    }
  }

  /// - Returns: false where the record is longer than its format allows.
  static func append<Codec: RecordCodec>(_ codec: Codec.Type, _ record: Codec.Record, _ bytes: inout [UInt8]) -> Bool {
    let length = Codec.length(of: record)
    guard Codec.lengths ~= length else { return false }
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: length))
    bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress else { return }
      Codec.write(record, to: base + start)
    }
    return true
  }

  /// A message as batches have it.
  static func message(_ key: [UInt8]?, _ value: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + (key?.count ?? 0) + value.count)
    withUnsafeBytes(of: (key.map { Int32($0.count) } ?? -1).littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: UInt32(value.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += key ?? []
    return bytes + value
  }
}

private struct StreamhouseWriter: MessageWriter {
  var carriesOffsets: Bool { false }

  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    (key ?? []).withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        MessageWriters.append(
          StreamhouseCodec.self,
          StreamhouseCodec.Record(timestamp: UInt64(bitPattern: time), key: key, value: value), &bytes)
      }
    }
  }
}

private struct AirunnerWriter: MessageWriter {
  var carriesKeys: Bool { false }

  func begin(_ first: Int64) -> [UInt8] { AirunnerCodec.fileHeader }

  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    value.withUnsafeBytes { value in
      MessageWriters.append(
        AirunnerCodec.self,
        AirunnerCodec.Record(sequence: offset + 1, status: .pending, timestamp: time, payload: value), &bytes)
    }
  }
}

private struct ChronikV1Writer: MessageWriter {
  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    (key ?? []).withUnsafeBytes { keyBytes in
      value.withUnsafeBytes { value in
        MessageWriters.append(
          ChronikV1Codec.self,
          ChronikV1Codec.Record(offset: offset, timestamp: time, key: key == nil ? nil : keyBytes, value: value),
          &bytes)
      }
    }
  }
}

private struct ChronikV2Writer: MessageWriter {
  var topic: String

  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    Array(topic.utf8).withUnsafeBytes { topic in
      MessageWriters.message(key, value).withUnsafeBytes { data in
        MessageWriters.append(
          ChronikV2Codec.self,
          ChronikV2Codec.Record(
            topic: topic, partition: 0, data: data, baseOffset: offset, lastOffset: offset, recordCount: 1), &bytes)
      }
    }
  }
}

private struct ReplayWriter: MessageWriter {
  var carriesKeys: Bool { false }

  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    let one: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
    let parts: [(ReplayCodec.Operation, [UInt8])] = [(.startBuffer, []), (.addMeasurement, value), (.endBuffer, one)]
    return parts.allSatisfy { operation, payload in
      Array("engine".utf8).withUnsafeBytes { user in
        payload.withUnsafeBytes { payload in
          MessageWriters.append(
            ReplayCodec.self,
            ReplayCodec.Record(
              transaction: UInt64(offset), timestamp: time, user: user, operation: operation, payload: payload), &bytes)
        }
      }
    }
  }
}

/// A segment of our own, a batch for each message. Its salt is fixed: no log that it is moved into has batches of it.
struct SegmentWriter: MessageWriter {
  private static let salt: UInt64 = 0x746F_726E_6C6F_6731
  var topic: String
  var partition = PartitionID(0)
  var epoch = Epoch(1)
  var previous = Offset(-1)

  func begin(_ first: Int64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: SegmentHeader.size)
    bytes.withUnsafeMutableBytes { raw in
      SegmentHeader(
        baseOffset: Offset(first), epoch: epoch, salt: Self.salt, durableOffset: Offset(first), bootID: 0,
        source: TopicPartition(topic, partition), isNeverSynced: false, previousBase: previous
      ).write(into: raw)
    }
    return bytes
  }

  func write(
    _ offset: Int64, _ time: Int64, _ key: [UInt8]?, _ value: [UInt8], _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    let record = MessageWriters.message(key, value)
    return append(record, 1, offset, position, &bytes)
  }

  /// A batch of records that stand as batches have them.
  func append(
    _ records: [UInt8], _ count: Int, _ offset: Int64, _ position: Int64, _ bytes: inout [UInt8]
  ) -> Bool {
    let length = (BatchHeader.size + records.count + 7) & ~7
    guard length <= 16 << 20 else { return false }
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: BatchHeader.size))
    bytes.append(contentsOf: records)
    bytes.append(contentsOf: repeatElement(0, count: length - BatchHeader.size - records.count))
    bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress else { return }
      BatchHeader(
        length: length, baseOffset: Offset(offset), recordCount: count, position: position, epoch: epoch,
        time: Instant(nanoseconds: 0), durableOffset: Offset(offset), bootID: 0, commitDelta: 0
      ).seal(at: base + start, salt: Self.salt)
    }
    return true
  }
}
