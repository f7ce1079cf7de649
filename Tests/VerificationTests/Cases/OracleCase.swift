import LogModel
import Testing
import Verification

/// A history and readbacks, and what a right oracle says of them.
struct OracleCase: Sendable, CustomTestStringConvertible {
  enum Expectation: Sendable {
    case held
    case unknown(CheckName)
    /// These checks, and perhaps others.
    case violated(Set<CheckName>)
    /// These and no others.
    case exactly(Set<CheckName>)
  }

  let name: String
  let expected: Expectation
  /// Where a check first saw it.
  let places: [CheckName: Offset]
  let judge: @Sendable () -> Judgement

  var testDescription: String { name }

  init(
    _ name: String, _ expected: Expectation, at places: [CheckName: Offset] = [:],
    _ judge: @escaping @Sendable () -> Judgement
  ) {
    (self.name, self.expected, self.places, self.judge) = (name, expected, places, judge)
  }

  /// One violated check, perhaps among others.
  init(_ name: String, _ check: CheckName, at offset: Offset? = nil, _ judge: @escaping @Sendable () -> Judgement) {
    self.init(name, .violated([check]), at: offset.map { [check: $0] } ?? [:], judge)
  }

  func isMet(by judgement: Judgement) -> Bool {
    guard places.allSatisfy({ judgement[$0.key]?.divergence?.offset == $0.value }) else { return false }
    return switch expected {
    case .held: judgement.verdict == .held
    case .unknown(let check): judgement.verdict == .unknown && judgement[check]?.verdict == .unknown
    case .violated(let checks): judgement.violated.isSuperset(of: checks)
    case .exactly(let checks): judgement.violated == checks
    }
  }
}

extension Story {
  static let slot = PartitionSlot(0)

  /// A story of one partition, with the readbacks that have been made.
  static func one(_ seed: UInt64 = 1) -> Story { Story(seed: seed, partitions: 1) }

  @discardableResult
  mutating func damage(
    _ touched: Range<Int64>? = nil, unplaced: [Int] = [], detectable: Bool = true, inLife: Bool = false,
    certain: Bool = true
  ) -> Self {
    history.damage(
      Damage(
        partition: Self.slot, kind: "bit-flip",
        touched: touched.map { [OffsetRange(from: Offset($0.lowerBound), to: Offset($0.upperBound))] } ?? [],
        unplaced: unplaced,
        description: "a fault", isDetectable: detectable, isInLife: inLife, isCertain: certain))
    return self
  }

  /// Offsets that nothing is served from.
  mutating func hole(_ offsets: Range<Int>) { for offset in offsets { logs[0][offset] = nil } }

  /// A readback whose answers are edited first.
  func readback(reporting ranges: [Range<Int64>] = [], _ edit: (inout Answers) -> Void = { _ in }) -> Observation {
    var answers = answers()
    answers.reported = ranges.map {
      ReportedDamage(
        partition: Self.slot, offsets: OffsetRange(from: Offset($0.lowerBound), to: Offset($0.upperBound)),
        reason: "checksum")
    }
    edit(&answers)
    return answers.observed(by: history)
  }

  func judged(
    _ readbacks: [Observation], _ sync: SyncPolicy = .always, _ recovery: RecoveryPolicy = .skipCorrupted,
    refusals: JustifiedRejections = JustifiedRejections()
  ) -> Judgement {
    Oracle(Contract(sync: sync, recovery: recovery, refusals: refusals)).judge(history, readbacks)
  }
}

extension Answers {
  /// What partition 0 claims, before and after.
  mutating func claim(start: Int = 0, _ end: Int) {
    let marks = Watermarks(logStartOffset: Offset(start), highWatermark: Offset(end), logEndOffset: Offset(end))
    (partitions[0].before, partitions[0].after) = (marks, marks)
  }

  mutating func answer(_ start: Int, _ served: Served?) {
    if let at = partitions[0].probes.firstIndex(where: { $0.start == start }) {
      partitions[0].probes[at].first = served
    } else {
      partitions[0].probes.append((start, served))
    }
  }
}

/// Everything that the oracle is put to the test with: what it must find, and whom it must leave alone.
enum OracleCases {
  static let all: [OracleCase] =
    reads + damage + reports + facts + clients + readers + beside + watermarks + mutations + sound
}

@Suite struct OracleCaseTests {
  @Test(arguments: OracleCases.all) func theOracleSaysWhatIsRight(_ one: OracleCase) {
    let judgement = one.judge()
    #expect(one.isMet(by: judgement), "\(one.expected): found \(judgement.verdict)\n\(judgement.text)")
  }
}
