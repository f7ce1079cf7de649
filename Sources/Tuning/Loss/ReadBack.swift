import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Recovers, and compares what is there with what was acknowledged.
struct ReadBack {
  /// Answered requests, by partition.
  private let answers: [[Producers.Answer]]

  init(_ answers: [[Producers.Answer]]) { self.answers = answers }

  /// - Returns: of each partition, how many messages are gone from its acknowledged end.
  /// - Throws: `TuningError.corrupted` where a message is gone that stands before one that is there, or another one is
  ///   in its place; `EngineError` where the engine does not open or serve.
  func lowestLost(
    of acknowledgements: [[ExposureMeter.Acknowledgement]], on storage: any Storage,
    _ configuration: EngineConfiguration
  ) async throws -> [Int] {
    let (engine, _) = try await PartitionEngine.open(storage, configuration)
    let response = FetchResponse(capacity: 1 << 20)
    var lost: [Int] = []
    for partition in acknowledgements.indices {
      let id = PartitionID(partition)
      let end = acknowledgements[partition].last?.end ?? 0
      var expected = messages(of: partition)
      let marks = try engine.watermarks(Producers.topic, id)
      var next: Offset = 0
      while next < min(marks.highWatermark, end) {
        try await engine.fetch(Producers.topic, id, from: next, maxBytes: 1 << 20, into: response)
        var wrong: TuningError?
        response.forEachRecord { record in
          let found = SentMessage(record.value)
          if wrong == nil, let message = expected.removeValue(forKey: record.offset.rawValue), message != found {
            wrong = .corrupted(
              "after a power cut under \(configuration.log.syncPolicy), offset \(record.offset) of partition "
                + "\(partition) holds \(found), and \(message) was acknowledged there")
          }
        }
        if let wrong { throw wrong }
        guard response.nextOffset > next else { break }
        next = response.nextOffset
      }
      if let hole = expected.keys.filter({ $0 < next.rawValue }).min() {
        throw TuningError.corrupted(
          "after a power cut under \(configuration.log.syncPolicy), offset \(hole) of partition \(partition) is gone, "
            + "and later ones are there")
      }
      lost.append(max(0, end - next))
    }
    try await engine.close()
    return lost
  }

  /// By offset, what the producers were told.
  private func messages(of partition: Int) -> [Int64: SentMessage] {
    guard partition < answers.count else { return [:] }
    var messages: [Int64: SentMessage] = [:]
    for answer in answers[partition] {
      for place in 0..<answer.count {
        messages[(answer.base + place).rawValue] = SentMessage(producer: answer.producer, number: answer.first + place)
      }
    }
    return messages
  }
}

/// The name that a message carries.
private struct SentMessage: Equatable, CustomStringConvertible {
  var producer: Int
  var number: Int

  init(producer: Int, number: Int) { (self.producer, self.number) = (producer, number) }

  init(_ value: UnsafeRawBufferPointer) {
    guard value.count >= Producers.nameSize else {
      self.init(producer: -1, number: -1)
      return
    }
    self.init(
      producer: Int(value.loadUnaligned(as: Int64.self)),
      number: Int(value.loadUnaligned(fromByteOffset: 8, as: Int64.self)))
  }

  var description: String { "message \(number) of producer \(producer)" }
}
