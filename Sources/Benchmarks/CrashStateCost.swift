import CrashStates
import Glibc
import LogModel

/// What the crash-state model costs on a long recording: every crash point is made, and some states of each are hashed,
/// as an exploration does before it recovers from any.
public struct CrashStateCost: Sendable {
  /// What is recorded.
  public enum Load: String, CaseIterable, Sendable {
    /// Appends of 4 KiB to one file, and never a sync: everything may be missing.
    case withoutSync = "appends without a sync"
    /// Appends of 10 KiB to eight files, each synced with every eighth.
    case synced = "appends, a sync with every eighth"

    /// Operations of each row.
    public var sizes: [Int] { self == .withoutSync ? [250, 500, 1000] : [1000, 10_000, 100_000] }
    var bytes: Int { self == .withoutSync ? 4 << 10 : 10 << 10 }
  }

  public struct Row: Hashable, Sendable, Codable {
    public var load: String
    public var operations: Int
    public var states: Int
    public var seconds: Double
    /// Of the process until then.
    public var peakMiB: Int
  }

  /// States that are visited at each crash point.
  public static let statesPerPoint = 16

  /// - Parameter profile: one of `CrashProfile.all`.
  public static func measure(_ load: Load, _ operations: Int, _ profile: CrashProfile) -> Row {
    let recording = record(load, operations)
    let begun = now()
    var walk = CrashPointWalk(recording, profile, seed: 1)
    let limits = StateEnumeration.Limits(bound: 1, statesPerPoint: statesPerPoint, samples: 0)
    var states = 0
    for event in 0...recording.events.count {
      let point = walk.point(at: event)
      var resolver = StateResolver(point)
      var sum: UInt64 = 0
      StateEnumeration(point, limits).forEach(seed: 1) { choice, _ in
        sum &+= resolver.contentHash(choice)
        states += 1
      }
      withExtendedLifetime(sum) {}
    }
    return Row(
      load: load.rawValue, operations: operations, states: states, seconds: now() - begun, peakMiB: peakMiB())
  }

  private static func record(_ load: Load, _ operations: Int) -> Recording {
    var builder = RecordingBuilder(Recording(store: SectorStore(), table: PathTable()))
    var files: [InodeNumber] = []
    for number in 0..<(load == .synced ? 8 : 1) {
      if let create = builder.operation(.create("file-\(number)", .file)) { builder.run(create) }
      if let file = builder.inode("file-\(number)") { files.append(file) }
    }
    builder.run(.syncDirectory(InodeTable.root))
    var random = SeededGenerator(seed: 1, stream: "payload")
    var ends = [Int](repeating: 0, count: files.count)
    for number in 0..<operations {
      let place = number % files.count
      if load == .synced, number % 8 == 7 {
        for file in files { builder.run(.sync(file: file, isFull: false)) }
      }
      var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: load.bytes)
      // No two sectors are the same.
      for at in stride(from: 0, to: bytes.count, by: 512) {
        withUnsafeBytes(of: random.next()) { bytes.replaceSubrange(at..<at + 8, with: $0) }
      }
      builder.run(.write(file: files[place], offset: ends[place], bytes: bytes, durable: false))
      ends[place] += bytes.count
    }
    return builder.recording
  }

  private static func now() -> Double {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
  }

  private static func peakMiB() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
  }
}
