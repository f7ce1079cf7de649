import CRawLoops
import Glibc
import Histogram
import LogModel
import Storage

/// One way of making a write durable, measured on the disk itself.
public struct FlushWay: Hashable, Sendable, Codable {
  public enum Flush: String, Hashable, Sendable, Codable {
    case none, fdatasync, fsync
    case dsync = "RWF_DSYNC"
    case direct = "O_DIRECT+RWF_DSYNC"
  }

  /// How the file stands before.
  public enum File: String, Hashable, Sendable, Codable {
    /// Every write extends it.
    case growing
    /// Allocated, and never written.
    case allocated
    /// Filled with zeros.
    case zeroFilled = "zero-filled"
  }

  public var flush: Flush
  public var file: File

  public init(_ flush: Flush, _ file: File) { (self.flush, self.file) = (flush, file) }

  /// The way that stands for the disk in signs and strips: what most programs do.
  public static let usual = FlushWay(.fdatasync, .growing)

  public static let all: [FlushWay] = [
    FlushWay(.none, .growing), usual, FlushWay(.fdatasync, .allocated), FlushWay(.fdatasync, .zeroFilled),
    FlushWay(.fsync, .growing), FlushWay(.dsync, .growing), FlushWay(.dsync, .zeroFilled),
    FlushWay(.direct, .growing), FlushWay(.direct, .zeroFilled),
  ]

  public var name: String {
    switch flush {
    case .none: "write, not synced, \(file.rawValue) file"
    case .fdatasync: "write + fdatasync, \(file.rawValue) file"
    case .fsync: "write + fsync, \(file.rawValue) file"
    case .dsync: "RWF_DSYNC, \(file.rawValue) file"
    case .direct: "O_DIRECT + RWF_DSYNC, \(file.rawValue) file"
    }
  }
}

/// What one way of writing came to. Times are in nanoseconds.
public struct FlushFigures: Hashable, Sendable, Codable {
  public var way: FlushWay
  /// Nil where the file system refuses this way, with the reason in `refusal`.
  public var latency: LatencyFigures?
  public var refusal: String?

  private enum CodingKeys: String, CodingKey {
    case way, refusal
    case latency = "latencyNanoseconds"
  }
}

/// One write of the strip.
public struct FlushMoment: Hashable, Sendable, Codable {
  /// Nanoseconds from the beginning of the strip.
  public var start: Int64
  public var latency: Int64

  private enum CodingKeys: String, CodingKey {
    case start = "startNanoseconds"
    case latency = "nanoseconds"
  }
}

/// What the disk does on its own, below any engine.
public struct DiskFigures: Hashable, Sendable, Codable {
  public var directory: String
  public var fileSystem: String
  public var source: String
  public var messageSize: Int
  public var ways: [FlushFigures]
  /// Flushes over time, the slowest of each short stretch: stalls show here.
  public var strip: [FlushMoment]
  public var signs: [DiskSign]
  /// Whether the flushes were slowed on purpose; see `FlushTiming`.
  public var isSlowed: Bool
  /// Through which the engine wrote: `io_uring` or `posix`, and why.
  public var storage = ""
  public var notices: [String] = []

  private enum CodingKeys: String, CodingKey {
    case directory, fileSystem, source, messageSize, ways, strip, signs, storage, notices
    case isSlowed = "slowed"
  }

  /// Of `write + fdatasync` on a growing file.
  public var flush: LatencyFigures? { ways.first { $0.way == .usual }?.latency }
}

/// Measures a disk by raw loops in C, in files that are unlinked at once.
package struct DiskProbe {
  var directory: String
  var messageSize: Int
  /// For each way, and for the strip.
  var time: Duration
  var stripTime: Duration
  var isCancelled: @Sendable () -> Bool = { false }

  /// Measures the disk of a folder, and leaves nothing there.
  /// - Parameter storage: what will write to it, for the report.
  package static func figures(
    of directory: String, messageSize: Int, _ effort: TuningEffort, storage: String,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws(TuningError) -> DiskFigures {
    let folder: TuningFolder
    do throws(StorageError) { folder = try TuningFolder(in: directory) } catch { throw TuningError(error) }
    var figures = try DiskProbe(
      directory: folder.path, messageSize: messageSize, time: effort.probe, stripTime: effort.strip,
      isCancelled: isCancelled
    ).run()
    (figures.directory, figures.storage) = (directory, storage)
    return figures
  }

  /// - Throws: `TuningError.disk`, unless the file system only refuses one of the ways.
  func run() throws(TuningError) -> DiskFigures {
    var ways: [FlushFigures] = []
    for way in FlushWay.all {
      if isCancelled() { throw .interrupted }
      do throws(TuningError) {
        let found = try measure(way, time)
        ways.append(FlushFigures(way: way, latency: LatencyFigures(found.map(\.latency)), refusal: nil))
      } catch .disk(_, let number) where [EINVAL, EOPNOTSUPP, ENOSYS].contains(number) {
        ways.append(FlushFigures(way: way, latency: nil, refusal: String(cString: strerror(number))))
      }
    }
    // In pieces, so that an interruption is heard in between.
    var strip: [FlushMoment] = []
    var done = Duration.zero
    while done < stripTime {
      if isCancelled() { throw .interrupted }
      let piece = min(.seconds(1), stripTime - done)
      strip += try measure(.usual, piece).map {
        FlushMoment(start: $0.start + done.nanoseconds, latency: $0.latency)
      }
      done += piece
    }
    let place = FileSystemKind.of(directory)
    var disk = DiskFigures(
      directory: directory, fileSystem: place.name, source: place.source, messageSize: messageSize, ways: ways,
      strip: Self.thinned(strip), signs: [], isSlowed: false)
    disk.signs = DiskSign.read(disk, BlockDevice.under(directory), place)
    return disk
  }

  private func measure(_ way: FlushWay, _ time: Duration) throws(TuningError) -> [FlushMoment] {
    let most = 400_000
    var (starts, latencies) = ([Int64](repeating: 0, count: most), [Int64](repeating: 0, count: most))
    let path = directory + "/tune.tmp"
    let count = rl_flushes(
      path, way.flush.raw, way.file.raw, messageSize, time.nanoseconds, UInt64(most), &starts, &latencies)
    guard count >= 0 else { throw .disk(path, errno: Int32(-count)) }
    return (0..<Int(count)).map { FlushMoment(start: starts[$0], latency: latencies[$0]) }
  }

  /// The slowest write of each of 600 stretches: a plot has no more columns, and a stall is never left out.
  static func thinned(_ strip: [FlushMoment]) -> [FlushMoment] {
    guard let end = strip.last?.start, strip.count > 600 else { return strip }
    var slowest: [FlushMoment?] = Array(repeating: nil, count: 600)
    for moment in strip {
      let column = min(599, Int(Double(moment.start) / Double(end + 1) * 600))
      if moment.latency > slowest[column]?.latency ?? -1 { slowest[column] = moment }
    }
    return slowest.compactMap { $0 }
  }
}

extension FlushWay.Flush {
  fileprivate var raw: rl_flush {
    switch self {
    case .none: RL_NO_FLUSH
    case .fdatasync: RL_FDATASYNC
    case .fsync: RL_FSYNC
    case .dsync: RL_DSYNC
    case .direct: RL_DIRECT_DSYNC
    }
  }
}

extension FlushWay.File {
  fileprivate var raw: rl_file {
    switch self {
    case .growing: RL_GROWING
    case .allocated: RL_ALLOCATED
    case .zeroFilled: RL_ZERO_FILLED
    }
  }
}
