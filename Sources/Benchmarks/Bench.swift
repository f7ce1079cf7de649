import LogModel
import Storage

/// Measures subjects against the raw loops, round by round in one run: reference, subject, reference, then the other
/// references. Rates drift by a third within minutes on a shared machine; a ratio of neighbours does not.
public struct Bench {
  public struct Progress: Hashable, Sendable {
    public var done: Int
    public var total: Int
    public var title: String
  }

  public var options: BenchOptions
  public var appendSubjects: [any AppendSubject]
  public var scanSubjects: [any ScanSubject]
  /// Told before each row.
  public var onProgress: (Progress) -> Void = { _ in }
  /// Asked before each slice; true ends the run with the rows that there are, and the folder is removed.
  public var isCancelled: @Sendable () -> Bool = { false }
  var appendCases: [AppendCase]
  /// Recoveries of logs and stores of so many bytes.
  public var recoveries: [(kind: RecoveryKind, bytes: Int)] = []
  /// Rounds of each, between readings of the same files.
  public var recoveryRounds = 3
  /// Recovers in a process of its own; see `LargeRecovery.argument`.
  public var recover: (RecoveryKind, _ directory: String) throws -> RecoveryReading = {
    try LargeRecovery.run($0, in: $1)
  }
  /// Openings of engines with so many empty partitions.
  public var openings: [Int] = []
  /// Runs of so many commits of offsets.
  public var commits: [Int] = []

  public init(_ options: BenchOptions, append: [any AppendSubject], scan: [any ScanSubject]) {
    self.options = options
    appendSubjects = options.only == nil || options.only == .append ? append : []
    scanSubjects = options.only == nil || options.only == .scan ? scan : []
    appendCases = options.quick ? AppendCase.quick : AppendCase.all
  }

  /// Measures the engine and its peers, and nothing else.
  public mutating func comparePeers() {
    appendCases = AppendCase.beside
    (scanSubjects, openings, commits, recoveries) = ([], [], [], [])
  }

  /// Leaves only the append rows that `keeps` chooses.
  public mutating func filterAppends(_ keeps: (AppendLoad) -> Bool) {
    appendCases.removeAll { !keeps($0.load) }
  }

  /// - Returns: the table; of an interrupted run what was measured until then.
  /// - Throws: `BenchError`, `RawReferenceError`, or whatever a subject throws.
  public func run() throws -> BenchTable {
    let total =
      appendCases.reduce(0) { n, row in n + appendSubjects.count { $0.takes(row.load) } } + scanSubjects.count
      + openings.count + commits.count + recoveries.count
    guard total > 0 else { throw BenchError.nothingSelected }
    let scratch = try BenchScratch(in: options.directory)
    var table = BenchTable(directory: options.directory, fileSystem: FileSystemKind.of(options.directory).name)
    table.planned = total
    do {
      try measureAll(scratch, &table, total)
    } catch {
      // What a signal has ended fails in ways of its own.
      guard isCancelled() else { throw error }
      table.isInterrupted = true
    }
    return table
  }

  private func measureAll(_ scratch: BenchScratch, _ table: inout BenchTable, _ total: Int) throws {
    let unsupported = try probeRing(scratch, &table)
    for row in appendCases {
      for subject in appendSubjects where subject.takes(row.load) {
        let progress = Progress(done: table.rows.count, total: total, title: "\(subject.name) \(row.load)")
        let (measured, times) = try settled(progress, { $0.primary?.sample.spread ?? 0 }) {
          try measure(subject, row, without: unsupported, scratch)
        }
        table.rows.append(measured)
        table.rows[table.rows.count - 1].measurements = times
      }
    }
    for subject in scanSubjects {
      let progress = Progress(done: table.rows.count, total: total, title: "\(subject.name) scan")
      let (measured, times) = try settled(progress, { $0.primary?.sample.spread ?? 0 }) {
        try measure(subject, scratch)
      }
      table.rows.append(measured)
      table.rows[table.rows.count - 1].measurements = times
    }
    for partitions in openings {
      let progress = Progress(done: table.count, total: total, title: "opening \(partitions) empty partitions")
      let (measured, times) = try settled(progress, { $0.isMet ? 0 : $0.nanoseconds.spread }) {
        try measureOpening(of: partitions, scratch)
      }
      table.openings.append(measured)
      table.openings[table.openings.count - 1].measurements = times
    }
    for count in commits {
      let progress = Progress(done: table.count, total: total, title: "\(count) commits of offsets")
      let (measured, times) = try settled(progress, { $0.ratio.sample.spread }) { try measureCommits(count, scratch) }
      table.commits.append(measured)
      table.commits[table.commits.count - 1].measurements = times
    }
    for (kind, bytes) in recoveries {
      let progress = Progress(
        done: table.count, total: total, title: "recovery of \(bytes >> 20) MiB, \(kind.rawValue)")
      let (measured, times) = try settled(progress, { $0.timesRead.spread }) {
        try measureRecovery(kind, bytes: bytes, scratch)
      }
      table.recoveries.append(measured)
      table.recoveries[table.recoveries.count - 1].measurements = times
    }
  }

  /// Measures a row until its rounds agree, or as often as `Noise` allows.
  /// - Parameter spread: of a measurement, as a part of its median.
  /// - Returns: the measurement that stands for the row, and how many there were.
  private func settled<Row>(
    _ progress: Progress, _ spread: (Row) -> Double, _ measure: () throws -> Row
  ) throws -> (row: Row, times: Int) {
    var rows: [Row] = []
    var progress = progress
    while true {
      onProgress(progress)
      rows.append(try measure())
      switch Noise.decide(rows.map(spread)) {
      case .take(let index), .noisy(calmest: let index): return (rows[index], rows.count)
      case .measureAgain:
        progress.title += ", again, as its rounds differ by ± \(percent(spread(rows[rows.count - 1])))"
      }
    }
  }

  /// Whether the ring loops run here at all; says so where they do not.
  private func probeRing(_ scratch: BenchScratch, _ table: inout BenchTable) throws -> Bool {
    guard !appendSubjects.isEmpty else { return false }
    do {
      table.notices.append("ring loops: \(try RawReference.ringFeatures(in: try scratch.folder("references")))")
      return false
    } catch let error as RawReferenceError where error.isUnsupported {
      table.notices.append("ring loops left out: \(error)")
      return true
    }
  }

  private func checkCancelled() throws(BenchError) {
    if isCancelled() { throw .interrupted }
  }
}

// MARK: - Appends

extension Bench {
  private func measure(
    _ subject: any AppendSubject, _ row: AppendCase, without ringUnsupported: Bool, _ scratch: BenchScratch
  ) throws -> BenchRow {
    let load = row.load
    let references = row.references.filter { !(ringUnsupported && $0.isRing) }
    let quantum = load.producers * load.batch
    let folder = try scratch.folder("references")

    func runSubject(_ count: Int) throws -> Measure {
      try checkCancelled()
      let nanoseconds = try subject.run(load, count: count, in: try scratch.folder("subject"))
      _ = try scratch.folder("subject")
      return Measure(units: Double(count), nanoseconds: max(nanoseconds, 1))
    }
    func runReference(_ reference: RawReference, _ count: Int) throws -> Measure {
      try checkCancelled()
      return try reference.append(count: count, recordSize: load.recordSize, in: folder)
    }

    let fewest = (subject.fewest(load) + quantum - 1) / quantum * quantum
    let count = try max(fewest, calibrate(load, quantum: quantum) { try runSubject(max($0, fewest)) })
    let counts = try references.map { reference in
      try calibrate(load, quantum: reference.quantum) { try runReference(reference, $0) }
    }
    // The reference that the row is read by stands on both sides of the subject; the others follow the round. One slice
    // of it that is not counted comes before: the ring loops write so much at once that a disk with a budget of bytes a
    // second (a virtual one) lets the next slice pay, at times with two thirds of its rate.
    let main = row.target.flatMap { references.firstIndex(of: $0.reference) } ?? 0
    let others = references.indices.filter { $0 != main }
    var around = try others.map { [try runReference(references[$0], counts[$0])] }
    var (slices, before, after): ([Measure], [Measure], [Measure]) = ([], [], [])
    for _ in 0..<options.rounds {
      _ = try runReference(references[main], counts[main])
      before.append(try runReference(references[main], counts[main]))
      slices.append(try runSubject(count))
      after.append(try runReference(references[main], counts[main]))
      for (i, other) in others.enumerated() { around[i].append(try runReference(references[other], counts[other])) }
    }
    let ratios =
      [Ratio(reference: references[main].name, subject: slices, before: before, after: after)]
      + others.indices.map { Ratio(reference: references[others[$0]].name, subject: slices, around: around[$0]) }
    return BenchRow(
      subject: subject.name, load: load, rate: Sample(slices.map(\.rate)), ratios: ratios,
      target: row.target.map { BenchRow.Target(minimum: $0.minimum, reference: $0.reference.name) },
      explanations: references)
  }

  /// How many records fill a slice: grows from one quantum until half a slice is filled, then scales. These runs are
  /// the warm-up too. Each size is run twice and the faster one counts: a disk that stalls once would otherwise leave
  /// slices of a single write, which measure their own first write and nothing else.
  private func calibrate(_ load: AppendLoad, quantum: Int, _ run: (Int) throws -> Measure) throws -> Int {
    let limit = max(1, Self.largestSlice(load.policy) / (load.recordSize * quantum))
    var quanta = max(1, min(limit, 64 / quantum))
    for _ in 0..<10 {
      let count = quanta * quantum
      let nanoseconds = min(try run(count).nanoseconds, try run(count).nanoseconds)
      let wanted = Double(quanta) * Double(options.slice) / Double(nanoseconds)
      let isSettled = nanoseconds * 2 >= options.slice || quanta == limit
      quanta = max(1, min(limit, Int(min(wanted, Double(quanta) * 16))))
      if isSettled { break }
    }
    return quanta * quantum
  }

  /// In bytes. Synced: what a disk takes without falling behind. Not synced: well below what the kernel holds dirty
  /// before it makes writers wait.
  private static func largestSlice(_ policy: SyncPolicy) -> Int { policy == .always ? 16 << 20 : 256 << 20 }
}

extension RawReference {
  var isRing: Bool {
    switch self {
    case .ringWrites, .ringQueue: true
    default: false
    }
  }

  /// Records that are written together.
  fileprivate var quantum: Int {
    switch self {
    case .syncedWrites(_, let batch): batch
    case .ringWrites(let group): group
    default: 1
    }
  }
}

// MARK: - Scans

extension Bench {
  private func measure(_ subject: any ScanSubject, _ scratch: BenchScratch) throws -> BenchRow {
    let log = try scratch.folder("subject")
    let folder = try scratch.folder("references")
    // Long enough to leave the processor's caches, short enough to fit into a slice's neighbourhood.
    let bytes = min(options.scanBytes, 128 << 20)
    try checkCancelled()
    try subject.prepare(bytes: options.scanBytes, in: log)
    _ = try subject.run(in: log)

    func runReferences(_ around: inout [[Measure]]) throws {
      for (i, reference) in ScanCase.references.enumerated() {
        try checkCancelled()
        around[i].append(try reference.scan(bytes: bytes, in: folder))
      }
    }
    var around: [[Measure]] = ScanCase.references.map { _ in [] }
    try runReferences(&around)
    var slices: [Measure] = []
    for _ in 0..<options.rounds {
      try checkCancelled()
      let outcome = try subject.run(in: log)
      slices.append(Measure(units: Double(max(outcome.bytes, 1)), nanoseconds: max(outcome.nanoseconds, 1)))
      try runReferences(&around)
    }
    let slowest = around[0].indices.map { round in
      around.map { $0[round] }.min { $0.rate < $1.rate }!
    }
    let ratios =
      [Ratio(reference: ScanCase.slowest, subject: slices, around: slowest)]
      + ScanCase.references.indices.map {
        Ratio(reference: ScanCase.references[$0].name, subject: slices, around: around[$0])
      }
    return BenchRow(
      subject: subject.name, load: nil, rate: Sample(slices.map(\.rate)), ratios: ratios,
      target: BenchRow.Target(minimum: ScanCase.minimum, reference: ScanCase.slowest),
      explanations: ScanCase.references)
  }
}
