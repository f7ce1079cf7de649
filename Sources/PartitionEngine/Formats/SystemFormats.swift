import LogModel
import RecordLogs
import WriteAheadLog

/// A message is a record, without an offset: the n-th record of the log is the n-th message. One that is damaged counts
/// as one; where its length is damaged too, nobody can tell how many are missing, and what follows in that file and the
/// next ones gets other offsets than it had. The newest file is safe from that, as long as the metadata knows its first
/// offset (`segment`): what is missing before it moves nothing behind it.
enum StreamhouseFormat: PartitionFormat {
  typealias Codec = StreamhouseCodec
  static var carriesOffsets: Bool { false }
  static var carriesKeys: Bool { true }

  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int {
    messages * StreamhouseCodec.lengths.lowerBound + payload
  }

  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer) {
    var target = target
    request.forEach { message in
      let record = Codec.Record(
        timestamp: UInt64(request.time), key: message.key ?? UnsafeRawBufferPointer(start: nil, count: 0),
        value: message.value)
      Codec.write(record, to: target)
      target += Codec.length(of: record)
    }
  }

  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int {
    var count = 0
    Codec.forEachRecord(in: request) { _ in count += 1 }
    return count
  }

  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void) {
    found(RecordView(offset: numbering.takeNext(), key: record.key.isEmpty ? nil : record.key, value: record.value))
  }
}

/// A message is a pending event; the sequence numbers of a job begin with 1.
enum AirunnerFormat: PartitionFormat {
  typealias Codec = AirunnerCodec
  static var carriesOffsets: Bool { true }
  static var carriesKeys: Bool { false }

  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int {
    messages * AirunnerCodec.lengths.lowerBound + payload
  }

  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer) {
    var target = target
    request.forEach { message in
      let record = Codec.Record(sequence: 0, status: .pending, timestamp: request.time, payload: message.value)
      Codec.writeUnsealed(record, to: target)
      target += Codec.length(of: record)
    }
  }

  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int {
    var offset = first
    Codec.forEachRecord(in: request) { record in
      Codec.seal(record, sequence: offset.rawValue + 1)
      offset += 1
    }
    return offset - first
  }

  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void) {
    guard record.status == .pending, record.sequence >= 1 else { return }
    let offset = Offset(record.sequence - 1)
    if numbering.take(offset, count: 1) == 0 { found(RecordView(offset: offset, key: nil, value: record.payload)) }
  }
}

/// A message is a record that carries its offset.
enum ChronikV1Format: PartitionFormat {
  typealias Codec = ChronikV1Codec
  static var carriesOffsets: Bool { true }
  static var carriesKeys: Bool { true }

  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int {
    messages * ChronikV1Codec.lengths.lowerBound + payload
  }

  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer) {
    var target = target
    request.forEach { message in
      let record = Codec.Record(offset: 0, timestamp: request.time, key: message.key, value: message.value)
      Codec.writeUnsealed(record, to: target)
      target += Codec.length(of: record)
    }
  }

  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int {
    var offset = first
    Codec.forEachRecord(in: request) { record in
      Codec.seal(record, offset: offset.rawValue)
      offset += 1
    }
    return offset - first
  }

  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void) {
    guard record.offset >= 0 else { return }
    let offset = Offset(record.offset)
    if numbering.take(offset, count: 1) == 0 { found(RecordView(offset: offset, key: record.key, value: record.value)) }
  }
}

/// A request is a record; its data are the messages as the engine's own batches have them.
enum ChronikV2Format: PartitionFormat {
  typealias Codec = ChronikV2Codec
  static var carriesOffsets: Bool { true }
  static var carriesKeys: Bool { true }

  private static let messageHeader = 8

  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int {
    ChronikV2Codec.lengths.lowerBound + source.topic.utf8.count + messages * messageHeader + payload
  }

  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer) {
    var name = request.source.topic
    name.withUTF8 { name in
      Codec.writeUnsealed(
        Codec.Record(
          topic: UnsafeRawBufferPointer(name), partition: Int32(request.source.partition.index), data: request.records,
          baseOffset: 0, lastOffset: 0,
          recordCount: Int32(request.count)), to: target)
    }
  }

  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int {
    Codec.seal(request, baseOffset: first.rawValue)
  }

  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void) {
    let count = Int(record.recordCount)
    guard 0...Offset.largest.rawValue ~= record.baseOffset, count >= 1,
      record.lastOffset == record.baseOffset + Int64(count) - 1
    else { return }
    let first = Offset(record.baseOffset)
    let known = numbering.take(first, count: count)
    var cursor = RecordCursor(records: record.data, first: first, count: count)
    while let message = cursor.next() {
      if message.offset >= first + known { found(message) }
    }
  }
}

/// A message is a transaction of its own, whose number is its offset: START_BUFFER, ADD_MEASUREMENT, END_BUFFER. One
/// whose ADD_MEASUREMENT is there counts: an incomplete buffer is replayed.
enum ReplayFormat: PartitionFormat {
  typealias Codec = ReplayCodec
  static var carriesOffsets: Bool { true }
  static var carriesKeys: Bool { false }

  private static let user = Array("engine".utf8)
  private static let entries = 3
  private static let countBytes = 8

  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int {
    messages * (entries * (ReplayCodec.lengths.lowerBound + user.count) + countBytes) + payload
  }

  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer) {
    var target = target
    user.withUnsafeBytes { user in
      func put(_ operation: Codec.Operation, _ payload: UnsafeRawBufferPointer) {
        let record = Codec.Record(
          transaction: 0, timestamp: request.time, user: user, operation: operation, payload: payload)
        Codec.writeUnsealed(record, to: target)
        target += Codec.length(of: record)
      }
      request.forEach { message in
        put(.startBuffer, UnsafeRawBufferPointer(start: nil, count: 0))
        put(.addMeasurement, message.value)
        withUnsafeBytes(of: UInt64(1).littleEndian) { put(.endBuffer, $0) }
      }
    }
  }

  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int {
    var count = 0
    Codec.forEachRecord(in: request) {
      Codec.seal($0, transaction: UInt64(first.rawValue) + UInt64(count / entries))
      count += 1
    }
    return count / entries
  }

  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void) {
    guard record.operation == .addMeasurement, let number = Int64(exactly: record.transaction) else { return }
    let offset = Offset(number)
    if numbering.take(offset, count: 1) == 0 { found(RecordView(offset: offset, key: nil, value: record.payload)) }
  }
}
