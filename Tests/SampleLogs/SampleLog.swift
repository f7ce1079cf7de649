import LogModel
import RecordLogs
import WriteAheadLog

/// Small logs, written by the engine's codecs: the tools' readers have no part in them.
package enum SampleLog {
  package static let salt: UInt64 = 0xA52E_A94C_29DB_4E22

  /// The file of a log with messages of these values, offsets from 0.
  package static func bytes(of system: LogSystem, _ values: [[UInt8]], key: [UInt8]? = Array("k".utf8)) -> [UInt8] {
    switch system {
    case .tornlog: segment(values, key: key)
    case .streamhouse: records(values, key) { streamhouse($0, $1, $2) }
    case .airunner: AirunnerCodec.fileHeader + records(values, key) { airunner(Int64($0) + 1, .pending, $2) }
    case .chronik: records(values, key) { chronik2(Int64($0), $1, [$2]) }
    case .chronikV1: records(values, key) { chronik1(Int64($0), $1, $2) }
    case .replayBuffer:
      values.enumerated().flatMap { index, value in
        replay(UInt64(index), .startBuffer, []) + replay(UInt64(index), .addMeasurement, value)
          + replay(UInt64(index), .endBuffer, [1, 0, 0, 0, 0, 0, 0, 0])
      }
    }
  }

  package static func values(_ count: Int, size: Int = 20) -> [[UInt8]] {
    (0..<count).map { number in (0..<size + number % 7).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 &* 7) } }
  }

  private static func records(
    _ values: [[UInt8]], _ key: [UInt8]?, _ make: (Int, [UInt8]?, [UInt8]) -> [UInt8]
  ) -> [UInt8] {
    values.enumerated().flatMap { make($0, key, $1) }
  }

  package static func streamhouse(_ number: Int, _ key: [UInt8]?, _ value: [UInt8]) -> [UInt8] {
    (key ?? []).withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        write(
          StreamhouseCodec.self,
          StreamhouseCodec.Record(timestamp: 1_769_857_215_000 + UInt64(number), key: key, value: value))
      }
    }
  }

  package static func airunner(_ sequence: Int64, _ status: AirunnerCodec.Status, _ value: [UInt8]) -> [UInt8] {
    value.withUnsafeBytes { value in
      write(
        AirunnerCodec.self,
        AirunnerCodec.Record(
          sequence: sequence, status: status, timestamp: 1_769_857_215_000 &+ sequence, payload: value))
    }
  }

  package static func chronik1(_ offset: Int64, _ key: [UInt8]?, _ value: [UInt8]) -> [UInt8] {
    (key ?? []).withUnsafeBytes { keyBytes in
      value.withUnsafeBytes { value in
        write(
          ChronikV1Codec.self,
          ChronikV1Codec.Record(
            offset: offset, timestamp: 1_769_857_215_000 &+ offset, key: key == nil ? nil : keyBytes, value: value))
      }
    }
  }

  package static func messages(_ key: [UInt8]?, _ values: [[UInt8]]) -> [UInt8] {
    values.flatMap { value in
      little(key == nil ? -1 : Int32(key!.count)) + little(UInt32(value.count)) + (key ?? []) + value
    }
  }

  package static func chronik2(_ offset: Int64, _ key: [UInt8]?, _ values: [[UInt8]]) -> [UInt8] {
    Array("orders".utf8).withUnsafeBytes { topic in
      messages(key, values).withUnsafeBytes { data in
        write(
          ChronikV2Codec.self,
          ChronikV2Codec.Record(
            topic: topic, partition: 3, data: data, baseOffset: offset, lastOffset: offset + Int64(values.count) - 1,
            recordCount: Int32(values.count)))
      }
    }
  }

  package static func replay(_ transaction: UInt64, _ operation: ReplayCodec.Operation, _ payload: [UInt8]) -> [UInt8] {
    Array("engine".utf8).withUnsafeBytes { user in
      payload.withUnsafeBytes { payload in
        write(
          ReplayCodec.self,
          ReplayCodec.Record(
            transaction: transaction, timestamp: 1_769_857_215_000 &+ Int64(truncatingIfNeeded: transaction),
            user: user,
            operation: operation, payload: payload))
      }
    }
  }

  /// One batch a message, each padded to 512 bytes, behind a head with the base offset 0.
  package static func segment(
    _ values: [[UInt8]], key: [UInt8]? = nil, base: Int64 = 0, epoch: UInt64 = 1, previous: Int64 = -1,
    padding: Int = 512
  ) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 4096)
    file.withUnsafeMutableBytes { raw in
      SegmentHeader(
        baseOffset: Offset(base), epoch: Epoch(epoch), salt: salt, durableOffset: Offset(base), bootID: 7,
        source: TopicPartition("orders", 3), isNeverSynced: false, previousBase: Offset(previous)
      ).write(into: raw)
    }
    for (number, value) in values.enumerated() {
      file += batch(at: Int64(file.count), base: base + Int64(number), [value], key: key, epoch: epoch)
      while file.count % padding != 0 { file.append(0) }
    }
    return file
  }

  package static func batch(
    at position: Int64, base: Int64, _ values: [[UInt8]], key: [UInt8]? = nil, epoch: UInt64 = 1
  ) -> [UInt8] {
    let records = messages(key, values)
    let length = (64 + records.count + 7) & ~7
    var bytes = [UInt8](repeating: 0, count: length)
    bytes.replaceSubrange(64..<64 + records.count, with: records)
    bytes.withUnsafeMutableBytes { raw in
      BatchHeader(
        length: length, baseOffset: Offset(base), recordCount: values.count, position: position, epoch: Epoch(epoch),
        time: Instant(nanoseconds: 1000 + base), durableOffset: Offset(base), bootID: 7, commitDelta: 0
      ).seal(at: raw.baseAddress!, salt: salt)
    }
    return bytes
  }

  private static func write<Codec: RecordCodec>(_ codec: Codec.Type, _ record: Codec.Record) -> [UInt8] {
    let length = Codec.length(of: record)
    return [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      buffer.initialize(repeating: 0)
      Codec.write(record, to: UnsafeMutableRawPointer(buffer.baseAddress!))
      count = length
    }
  }

  package static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
