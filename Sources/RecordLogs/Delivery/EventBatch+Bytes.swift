import Storage

/// A batch on the wire: its events as records of `AirunnerCodec`, one behind the other, each with its own checksum. The
/// job travels beside it.
extension EventBatch {
  /// The body of a request.
  public func encoded() -> [UInt8] {
    let size = events.reduce(0) { $0 + AirunnerCodec.lengths.lowerBound + $1.payload.count }
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      guard let base = buffer.baseAddress.map({ UnsafeMutableRawPointer($0) }) else { return }
      for event in events {
        event.payload.withUnsafeBytes { payload in
          let record = AirunnerCodec.Record(
            sequence: event.sequence, status: .pending, timestamp: event.timestamp, payload: payload)
          AirunnerCodec.write(record, to: base + count)
          count += AirunnerCodec.length(of: record)
        }
      }
    }
  }

  /// The batch that a body carries.
  /// - Throws: the fault of the first record that is none; a receiver refuses such a body, or asks for it again.
  public init(job: JobID, decoding body: [UInt8]) throws(RecordFault) {
    self.init(job: job, events: [])
    let (decoded, fault) = body.withUnsafeBytes { bytes in Self.decode(bytes) }
    if let fault { throw fault }
    events = decoded
  }

  private static func decode(_ bytes: UnsafeRawBufferPointer) -> ([Event], RecordFault?) {
    var events: [Event] = []
    var at = 0
    while at < bytes.count, let base = bytes.baseAddress {
      do throws(RecordFault) {
        guard bytes.count - at >= AirunnerCodec.prefixSize else {
          throw .cutShort(needed: AirunnerCodec.prefixSize, available: bytes.count - at)
        }
        let length = try AirunnerCodec.length(at: base + at)
        guard length <= bytes.count - at else { throw .cutShort(needed: length, available: bytes.count - at) }
        try AirunnerCodec.verify(bytes.part(at, length))
        let record = AirunnerCodec.record(in: bytes.part(at, length))
        guard record.status == .pending else { throw .unknownValue(UInt64(record.status.rawValue)) }
        events.append(Event(sequence: record.sequence, timestamp: record.timestamp, payload: Array(record.payload)))
        at += length
      } catch { return (events, error) }
    }
    return (events, nil)
  }
}
