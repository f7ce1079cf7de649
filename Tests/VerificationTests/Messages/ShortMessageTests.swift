import LogModel
import Testing
import Verification

/// Messages of fewer than 24 bytes do not say which they are: the oracle tells them by offset and bytes, accuses nobody
/// for what cannot be told apart, and misses nothing that can.
@Suite struct ShortMessageTests {
  static let sizes = [0, 1, 7, 8, 23]

  /// One partition, one producer a request: requests of `counts` messages, those in `open` without an answer.
  static func history(_ size: Int, _ counts: [Int], open: Set<Int> = [], keys: MessageKeys = .none) -> History {
    var history = History(seed: 5, shape: MessageShape(valueBytes: size, keys: keys))
    var now = Instant(nanoseconds: 1)
    let slot = history.create(TopicPartition("orders", 0), at: now)
    history.opened(at: now)
    var (sequence, offset) = (0, 0)
    for (number, count) in counts.enumerated() {
      let operation = history.submit(slot, producer: number, firstSequence: sequence, count: count, at: now)
      now = now + .microseconds(10)
      if !open.contains(number) {
        history.acknowledge(operation, baseOffset: Offset(offset), at: now)
      }
      offset += count
      sequence += count
    }
    history.crash(.processKill, at: now)
    history.opened(at: now)
    return history
  }

  struct Served {
    var offset: Int
    var sequence: Int
    /// Of the value, where it is not the one that was sent.
    var size: Int?
    var key: [UInt8]??
  }

  static func readback(_ history: History, _ served: [Served], end: Int? = nil) -> Observation {
    let content = MessageContent(seed: 5, topic: "orders", partition: 0)
    let shape = history.shape!
    var observer = Observer(history)
    let slot = PartitionSlot(0)
    let marks = Watermarks(
      logStartOffset: 0, highWatermark: Offset(end ?? served.count), logEndOffset: Offset(end ?? served.count))
    observer.registered([TopicPartition("orders", 0)])
    observer.claimedBefore(slot, marks)
    for message in served {
      var bytes = [UInt8](repeating: 0, count: message.size ?? shape.valueBytes)
      bytes.withUnsafeMutableBytes { content.write(sequence: UInt64(message.sequence), into: $0) }
      let key = message.key ?? content.key(shape.keys, of: UInt64(message.sequence))
      bytes.withUnsafeBytes { value in
        if let key {
          key.withUnsafeBytes { key in
            let pointer = UnsafeRawBufferPointer(
              start: key.baseAddress ?? UnsafeRawPointer(bitPattern: 8), count: key.count)
            observer.observe(slot, Offset(message.offset), value, key: pointer)
          }
        } else {
          observer.observe(slot, Offset(message.offset), value, key: nil)
        }
        observer.probe(slot, start: Offset(message.offset), first: (Offset(message.offset), value))
      }
    }
    observer.claimedAfter(slot, marks)
    observer.ended(slot, .reached)
    return observer.finish()
  }

  static func judge(_ history: History, _ served: [Served]) -> Judgement {
    Oracle(Contract(sync: .always)).judge(history, [readback(history, served)])
  }

  static func all(_ sequences: some Sequence<Int>) -> [Served] {
    sequences.enumerated().map { Served(offset: $0.offset, sequence: $0.element) }
  }

  @Test(arguments: sizes) func whatWasAcknowledgedIsThere(size: Int) {
    let judgement = Self.judge(Self.history(size, [1, 3, 1, 2]), Self.all(0..<7))
    #expect(judgement.verdict == .held, "\(judgement.text)")
    #expect(judgement.counts.recovered == 7)
  }

  @Test(arguments: sizes) func whatIsLostIsFound(size: Int) {
    let history = Self.history(size, [1, 3, 1, 2])
    let judgement = Self.judge(history, Self.all(0..<4))
    #expect(judgement.violated.contains(.noAcknowledgedLoss), "\(judgement.text)")
  }

  /// A value that was cut is no shorter value, and a longer one is none either.
  @Test(arguments: sizes, [0, 1, 9, 22]) func anotherLengthIsCorrupt(size: Int, other: Int) {
    guard size != other else { return }
    var served = Self.all(0..<4)
    served[2].size = other
    #expect(Self.judge(Self.history(size, [1, 1, 1, 1]), served).violated.contains(.contentIntact))
  }

  @Test(arguments: sizes) func whatNobodyWasToldOfMayBeThereWhole(size: Int) {
    let history = Self.history(size, [2, 3, 3], open: [1, 2])
    for served in [Array(0..<2), Array(0..<5), [0, 1, 5, 6, 7], Array(0..<8), [0, 1, 5, 6, 7, 2, 3, 4]] {
      let judgement = Self.judge(history, Self.all(served))
      #expect(judgement.verdict == .held, "\(served): \(judgement.text)")
    }
    // But not in part.
    let part = Self.judge(history, Self.all(0..<4))
    #expect(part.verdict == .violated && part.violated.contains(.contentIntact), "\(part.text)")
    // Nor more of it than was sent.
    #expect(Self.judge(history, Self.all(Array(0..<8) + [5, 6, 7])).verdict == .violated)
  }

  /// Of eight bytes no two are alike; of none all are.
  @Test func messagesThatChangePlacesAreFoundWhereTheyDiffer() {
    #expect(Self.judge(Self.history(8, [1, 1, 1]), Self.all([0, 2, 1])).violated.contains(.offsetsStable))
    #expect(Self.judge(Self.history(0, [1, 1, 1]), Self.all([0, 2, 1])).verdict == .held)
  }

  /// Two messages without bytes may be one request of two, or two of one: what follows from which it was is unknown.
  @Test func whatCannotBeToldApartAccusesNobody() {
    let history = Self.history(0, [1, 2, 1, 1], open: [1, 2, 3])
    #expect(Self.judge(history, Self.all(0..<3)).verdict == .held)
    let gone = Self.judge(history, [Served(offset: 1, sequence: 1), Served(offset: 2, sequence: 2)])
    #expect(gone.verdict == .unknown && gone.text.contains("requests of other lengths"), "\(gone.text)")
    // With bytes it can be told.
    let told = Self.history(8, [1, 2, 1, 1], open: [1, 2, 3])
    #expect(Self.judge(told, [Served(offset: 1, sequence: 1), Served(offset: 2, sequence: 2)]).verdict == .violated)
  }

  // MARK: Keys

  @Test(arguments: sizes + [24], MessageKeys.allCases) func keysAreCompared(size: Int, keys: MessageKeys) {
    let judgement = Self.judge(Self.history(size, [1, 1, 1, 1], open: [3], keys: keys), Self.all(0..<4))
    #expect(judgement.verdict == .held, "\(judgement.text)")
    #expect((judgement[.keysIntact] != nil) == (keys != .none))
  }

  @Test(arguments: [0, 8, 24]) func anotherKeyIsFound(size: Int) {
    let content = MessageContent(seed: 5, topic: "orders", partition: 0)
    let nul = content.key(.nul, of: 2)!
    let cases: [(MessageKeys, [UInt8]?)] = [
      (.none, []), (.none, [1]), (.empty, nil), (.empty, [0]), (.nul, nil), (.nul, []), (.nul, Array(nul.prefix(8))),
      (.nul, Array(nul.prefix(9)) + [UInt8](repeating: 0, count: 7)),
      (.large, Array(content.key(.large, of: 2)!.dropLast())),
      (.nul, content.key(.nul, of: 1)!),
    ]
    for (keys, key) in cases {
      var served = Self.all(0..<4)
      served[2].key = .some(key)
      let judgement = Self.judge(Self.history(size, [1, 1, 1, 1], keys: keys), served)
      #expect(judgement.violated == [.keysIntact], "\(keys) \(key?.count ?? -1): \(judgement.text)")
      #expect(judgement[.keysIntact]?.divergence?.offset == 2)
    }
  }

  @Test func keysAreOfEachKind() {
    let content = MessageContent(seed: 9, topic: "orders", partition: 1)
    let sizes = Set((0..<200).map { content.keySize(.mixed, of: UInt64($0)) })
    #expect(sizes == [nil, 0, MessageKeys.nulSize, MessageKeys.largeSize])
    for sequence in 0..<50 as Range<UInt64> {
      let key = content.key(.nul, of: sequence)!
      #expect(key.count(where: { $0 == 0 }) == 2 && key[8] == 0 && key.last == 0)
      #expect(content.key(.mixed, of: sequence)?.count == content.keySize(.mixed, of: sequence))
    }
  }
}
