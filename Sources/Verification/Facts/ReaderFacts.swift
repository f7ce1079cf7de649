import LogModel

/// A message that was served with another key than it was sent with.
struct WrongKey: Hashable, Sendable, Codable {
  var offset: Int64
  var sequence: Int64
  /// Bytes of the key; nil for none. Where both are the same, bytes of it differ.
  var expected: Int?
  var found: Int?

  var text: String {
    func words(_ size: Int?) -> String {
      switch size {
      case nil: "no key"
      case 0: "an empty key"
      case let size?: "a key of \(size) bytes"
      }
    }
    return expected == found
      ? "message \(sequence) must have the key that it was sent with, found another one of \(found ?? 0) bytes"
      : "message \(sequence) was sent with \(words(expected)), found \(words(found))"
  }
}

/// The keys of one partition in one readback.
struct ObservedKeys: Hashable, Sendable, Codable {
  /// Messages of which the key was compared.
  var seen = 0
  var wrong = 0
  private(set) var first: WrongKey?

  mutating func note(_ key: WrongKey) {
    wrong += 1
    if key.offset < first?.offset ?? .max { first = key }
  }
}

/// The times that batches were served with, by the offset of their first message: those of a sample, which is the same
/// for each readback of the same offsets.
struct BatchTimes: Hashable, Sendable {
  private(set) var offsets: [Int64] = []
  private(set) var times: [Int64] = []
  /// One in so many offsets, less one; a power of two less one.
  private(set) var mask: UInt64 = 0
  /// Batches of one readback at the most.
  static let limit = 1 << 16

  /// - Parameter attempted: messages of the partition.
  init(attempted: Int = 0) {
    while attempted >> mask.nonzeroBitCount > Self.limit / 2 { mask = mask << 1 | 1 }
  }

  @inline(__always)
  func samples(_ offset: Int64) -> Bool { mask == 0 || mix64(UInt64(bitPattern: offset)) & mask == 0 }

  mutating func note(_ offset: Int64, _ time: Int64) {
    guard samples(offset), offsets.count < Self.limit else { return }
    offsets.append(offset)
    times.append(time)
  }

  /// Of a batch that was served several times the first.
  var byOffset: [Int64: Int64] { Dictionary(zip(offsets, times)) { first, _ in first } }
}

/// Flat numbers, two to a batch, behind the mask.
extension BatchTimes: Codable {
  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    mask = try container.decode(UInt64.self)
    while !container.isAtEnd {
      offsets.append(try container.decode(Int64.self))
      times.append(try container.decode(Int64.self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    try container.encode(mask)
    for (offset, time) in zip(offsets, times) {
      try container.encode(offset)
      try container.encode(time)
    }
  }
}

extension Observer {
  /// The time that a batch was served with, which begins at `offset`; on the clock of the history.
  @inline(__always)
  public mutating func timed(_ partition: PartitionSlot, _ offset: Offset, _ time: Instant) {
    observation.partitions[partition.index].times.note(offset.rawValue, time.nanoseconds)
  }

  /// - Returns: whether the message is the first of an answer.
  @inline(__always)
  mutating func noteBackward(_ p: Int, _ offset: Int64) -> Bool {
    guard let asked = observation.partitions[p].asked else { return false }
    observation.partitions[p].asked = nil
    if offset < asked, observation.partitions[p].backward == nil {
      observation.partitions[p].backward = PartitionReadback.BackwardAnswer(asked: asked, served: offset)
    }
    return true
  }
}

/// What a reader is told of messages beside their values: keys and times.
extension PartitionChecker {
  func judgeKeys(_ ledger: inout CheckAccumulator) {
    guard history.shape != nil else { return }
    // Without keys in the workload there is nothing to see but a key that somebody has made up.
    let expectsKeys = history.shape?.keys != MessageKeys.none
    guard expectsKeys || readback.keys.wrong > 0 else { return }
    ledger.apply(.keysIntact, exercised: readback.keys.seen > 0)
    guard let wrong = readback.keys.first else { return }
    violate(&ledger, .keysIntact, at: wrong.offset) {
      .reader(.wrongKey(wrong, of: readback.keys.wrong))
    }
  }

  /// Each batch has the time of its append on the writer's clock: not before the request was submitted, not after it
  /// was answered, and the same in every readback.
  func judgeTimes(_ ledger: inout CheckAccumulator) {
    guard !readback.times.offsets.isEmpty else { return }
    ledger.apply(.timesKept, exercised: true)
    let times = readback.times.byOffset
    let before = earlier.map { (restart: $0.restart, base: $0.base, times: $0.times.byOffset) }
    for place in partition.operations.indices {
      let base = served.baseOf[place]
      guard base >= 0, readback.times.samples(base), let time = times[base] else { continue }
      let operation = history.operations[operation(place).number]
      let latest = operation.answeredAt?.nanoseconds ?? opening(after: operation.incarnation)
      if time < operation.submittedAt.nanoseconds || time > latest {
        violate(&ledger, .timesKept, at: base) {
          .reader(
            .timeOutside(
              message: operation.firstSequence, from: operation.submittedAt.nanoseconds, to: latest, found: time))
        }
      }
      for past in before where place < past.base.count && past.base[place] == base {
        guard let was = past.times[base], was != time else { continue }
        violate(&ledger, .timesKept, at: base) {
          .reader(.timeChanged(message: operation.firstSequence, was: was, restart: past.restart, found: time))
        }
      }
    }
  }

  /// When the engine of the next incarnation was ready: of a request without an answer nobody knows more.
  private func opening(after incarnation: Int) -> Int64 {
    guard history.openings.indices.contains(incarnation + 1), let instant = history.openings[incarnation + 1] else {
      return .max
    }
    return instant.nanoseconds
  }
}
