import LogModel
import ScenarioFormat
import Storage
import Verification

/// What is known of a trial of the model once it is over, for those who ask whether something has happened in it: the
/// history, what was found, and the files, in which messages are known by their content.
struct TrialEvidence {
  struct File {
    var requests = 0
    /// Where its last message ends.
    var end: Int64 = 0
    /// The block boundaries at which messages end, or behind them.
    var ends: Set<Int64> = []
  }

  /// Bytes before the end of a segment that no request reaches into; see `segmentWithRoom` in
  /// PartitionLog+Segments.swift.
  private static let reserve: Int64 = 4096
  private static let block: Int64 = 512

  let spec: TrialSpec
  private let judgement: Judgement
  private let tornWrites: Int
  private let deletesRecords: Bool
  let layout: FileLayout
  /// Requests of each partition, in the order in which they were sent.
  private let requests: [[Verification.Operation]]
  let history: History
  /// Of each partition in the order of their names.
  private var files: [[File]] = []

  /// - Throws: `TrialError` where a file cannot be read.
  init(
    _ spec: TrialSpec, _ history: History, _ judgement: Judgement, tornWrites: Int, _ medium: some AtRestDamage.Medium
  ) throws(TrialError) {
    (self.spec, self.judgement, self.tornWrites, layout) = (spec, judgement, tornWrites, FileLayout(spec))
    self.history = history
    deletesRecords = history.trims.contains { $0.outcome == .acknowledged && $0.before > 0 }
    requests = (0..<spec.partitions).map { number in history.operations.filter { $0.partition.index == number } }
    for number in 0..<spec.partitions {
      let source = spec.source(of: number)
      let messages = MessagesAtRest(spec, source)
      let firsts = Set(requests[number].map { UInt64($0.firstSequence) })
      var found: [File] = []
      for path in try medium.files(of: source) {
        found.append(
          try medium.read(path) { bytes in
            var file = File()
            messages.forEach(in: bytes) { place, sequence in
              if firsts.contains(sequence) { file.requests += 1 }
              file.end = Int64(place.upperBound)
              file.ends.insert(Self.padded(file.end, to: Self.block))
              return true
            }
            return file
          })
      }
      files.append(found)
    }
  }

  func shows(_ condition: TrialCondition) -> Bool {
    switch condition {
    case .tornWrite: tornWrites > 0
    case .acknowledgedLost: judgement.counts.lost > 0
    case .indeterminateFound:
      judgement.counts.indeterminate > 0 && judgement.counts.recovered > judgement.counts.acknowledged
    case .acknowledgedAfterError: requests.contains { Self.hasSuccessAfterError($0) }
    case .producersInterleaved: requests.contains { Self.isInterleaved($0) }
    case .partitionNeverWritten: requests.indices.contains { requests[$0].isEmpty && files[$0].isEmpty }
    case .partitionEmpty:
      requests.indices.contains { !requests[$0].isEmpty && files[$0].allSatisfy { $0.end == 0 } }
    case .oneRequestAFile: files.contains { $0.count > 1 && $0.allSatisfy { $0.requests == 1 } }
    case .fileExactlyFull:
      files.joined().contains {
        $0.requests > 0 && Self.padded($0.end, to: layout.alignment) + Self.reserve == spec.segmentBytes
      }
    case .loadOutlastsWindow: requests.contains { outlastsWindow($0) }
    case .closedBehindAnswers: isClosedBehindAnswers
    case .crashesDiffer: history.crashes.count > 1 && history.crashes[0].kind != history.crashes[1].kind
    case .requestEndsWithZeros: files.contains { $0.first.map(endsWithZeros) ?? false }
    case .offsetsOutgrowIntegers: requests.contains { Self.outgrowsIntegers($0) }
    case .recordsDeleted: deletesRecords
    case .emptyMessageFound: spec.messageSize == 0 && judgement.counts.recovered > 0
    case .leaseOutlived: judgement[.leaseKept]?.verdict == .held
    case .fileOneByteOver: files.contains { $0.dropLast().contains { isOneByteOver($0) } }
    }
  }

  private static func hasSuccessAfterError(_ requests: [Verification.Operation]) -> Bool {
    guard let failed = requests.filter({ $0.outcome != .acknowledged }).compactMap(\.answeredAt).min() else {
      return false
    }
    return requests.contains { $0.outcome == .acknowledged && $0.incarnation == 0 && $0.submittedAt >= failed }
  }

  private static func isInterleaved(_ requests: [Verification.Operation]) -> Bool {
    let placed = requests.filter { $0.incarnation == 0 && $0.baseOffset != nil }.sorted {
      $0.baseOffset! < $1.baseOffset!
    }
    var last: [Int: Int] = [:]
    for (index, request) in placed.enumerated() {
      if let before = last[request.producer], before < index - 1 { return true }
      last[request.producer] = index
    }
    return false
  }

  /// Of requests of one message each.
  private func isOneByteOver(_ file: File) -> Bool {
    guard spec.batch == 1, file.requests > 0 else { return false }
    let shorter = Self.padded(layout.requestHeader + Int64(spec.messageSize) - 1, to: layout.alignment)
    let end = layout.headBytes + Int64(file.requests) * Self.padded(shorter, to: Self.block) + shorter
    return end + Self.reserve == spec.segmentBytes
  }

  private static func padded(_ bytes: Int64, to unit: Int64) -> Int64 { (bytes + unit - 1) / unit * unit }
}

extension CrashReceipt.Unfinished {
  /// Whether a part of a write to a log has happened, and a part has not.
  var isTornWriteToLog: Bool { kind == .write && path.hasPrefix("topics/") && 0 < kept && kept < of }
}
