import LogModel

/// What must be reached, as a ratio to one reference.
public struct BenchTarget: Hashable, Sendable {
  public var minimum: Double
  public var reference: RawReference

  public init(_ minimum: Double, of reference: RawReference) {
    self.minimum = minimum
    self.reference = reference
  }
}

/// One row of the append table.
public struct AppendCase: Hashable, Sendable {
  public var load: AppendLoad
  public var references: [RawReference]
  public var target: BenchTarget?
}

extension AppendCase {
  /// Issue 2, "What it must show": 1 KB, always, against REF; never, batches of 100, against the checksummed blocks.
  /// The last holds for any number of producers.
  static let targets: [(producers: [Int], recordSize: Int, batch: Int, policy: SyncPolicy, target: BenchTarget)] = [
    ([1], 1024, 1, .always, BenchTarget(1.0, of: .ref)),
    ([16], 1024, 1, .always, BenchTarget(8, of: .ref)),
    ([64], 1024, 1, .always, BenchTarget(20, of: .ref)),
    (producerCounts, 1024, 100, .never, BenchTarget(0.4, of: .checksummedBlocks(.growing))),
  ]

  public static let producerCounts = [1, 4, 16, 64]

  /// Every row of issue 2: 1, 4, 16, 64 producers x 1 KB, 100 B x three policies x single messages and batches of 100.
  public static let all: [AppendCase] = {
    var cases: [AppendCase] = []
    for policy in [SyncPolicy.always, .interval(.milliseconds(100)), .never] {
      for recordSize in [1024, 100] {
        for batch in [1, 100] {
          for producers in producerCounts {
            cases.append(
              AppendCase(AppendLoad(producers: producers, recordSize: recordSize, batch: batch, policy: policy)))
          }
        }
      }
    }
    return cases
  }()

  /// `--quick`: the rows that carry a target, and one of each policy beside them.
  public static let quick: [AppendCase] = all.filter { row in
    let load = row.load
    return row.target != nil || (load.recordSize == 1024 && load.producers == 16 && load.batch == 1)
  }

  public init(_ load: AppendLoad) {
    self.load = load
    references = Self.references(for: load)
    target =
      Self.targets.first {
        $0.producers.contains(load.producers) && $0.recordSize == load.recordSize && $0.batch == load.batch
          && $0.policy == load.policy
      }?.target
  }

  /// The same bytes by the same number of calls, and what the same bytes cost at least.
  private static func references(for load: AppendLoad) -> [RawReference] {
    guard load.policy == .always else { return [.checksummedBlocks(.growing), .checksummedBlocks(.zeroFilled)] }
    // A commit of all that can be waiting, up to about 1 MB of 1 KB records.
    let waiting = min(load.producers * load.batch, 1000)
    var references: [RawReference] = [.ref, .syncedWrites(.growing, batch: 1)]
    if load.batch > 1 { references.append(.syncedWrites(.zeroFilled, batch: load.batch)) }
    references.append(.ringWrites(group: waiting))
    return references
  }
}

/// The scan is compared with the slower of what it cannot do without: reading the bytes and checksumming them.
public enum ScanCase {
  public static let references: [RawReference] = [.checksum, .cachedRead]
  /// Issue 2: half or more of the smaller of the checksum's speed and cached read bandwidth.
  public static let minimum = 0.5
  /// The name of the smaller of the two in tables and reports.
  public static let slowest = "min(crc32, cached-read)"
}
