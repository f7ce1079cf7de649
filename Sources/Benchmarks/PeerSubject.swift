import CPeers
import FoundationEssentials
import Glibc
import LogModel
import Storage

/// A log, a database or a load generator of others, where it is installed. It commits the same records, each made
/// durable before the next of the same writer, but where its name says otherwise.
public struct PeerSubject: AppendSubject {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// `fio`: plain `pwrite` and `fdatasync`, a file for each writer.
    case fio
    /// RocksDB by its own `db_bench`, `fillseq` with `--sync`: a memtable and a write-ahead log.
    case rocksdb = "RocksDB"
    case sqliteFull = "SQLite WAL FULL"
    /// Flushes at checkpoints only: a power cut takes the newest commits.
    case sqliteNormal = "SQLite WAL NORMAL"
    case lmdb = "LMDB"
    /// PostgreSQL's own measure of a disk, in its first test: 8 KB at the same place of a 16 MB file, then `fdatasync`.
    case postgres = "pg_test_fsync 8 KB"
  }

  public let kind: Kind
  public var name: String { kind.rawValue }
  /// Runs a program, and brings what it writes to its standard output.
  /// - Parameter isEnough: asked with the output so far; once true, the program is ended.
  /// - Throws: `BenchError`.
  public typealias Launch = (_ arguments: [String], _ isEnough: @escaping (String) -> Bool) throws -> String

  private let launch: Launch

  public init(_ kind: Kind, launch: @escaping Launch) {
    self.kind = kind
    self.launch = launch
  }

  /// What to install; nil where it is there.
  public var absence: String? {
    switch kind {
    case .fio: Self.find("fio") == nil ? "fio is not installed (apt-get install fio)" : nil
    case .rocksdb: Self.find("db_bench") == nil ? "db_bench is not installed (apt-get install rocksdb-tools)" : nil
    case .sqliteFull, .sqliteNormal:
      tl_peer_version("sqlite") == nil ? "SQLite is not installed (apt-get install libsqlite3-0)" : nil
    case .lmdb: tl_peer_version("lmdb") == nil ? "LMDB is not installed (apt-get install liblmdb0)" : nil
    case .postgres:
      Self.postgresProgram == nil ? "pg_test_fsync is not installed (apt-get install postgresql)" : nil
    }
  }

  /// SQLite and LMDB have one writer at a time: more of them wait. pg_test_fsync is one process.
  public func takes(_ load: AppendLoad) -> Bool {
    switch kind {
    case .fio, .rocksdb: true
    case .sqliteFull, .sqliteNormal, .lmdb, .postgres: load.producers == 1
    }
  }

  /// Programs open their files and start their threads within the time that they report.
  public func fewest(_ load: AppendLoad) -> Int {
    switch kind {
    case .fio, .rocksdb: max(2000, load.producers * 500)
    case .sqliteFull, .sqliteNormal, .lmdb: 0
    // It writes for a second, however many were asked for.
    case .postgres: 20_000
    }
  }

  public func run(_ load: AppendLoad, count: Int, in directory: String) throws -> Int64 {
    switch kind {
    case .fio:
      let text = try launch(
        [
          Self.find("fio") ?? "fio", "--name=tornlog", "--directory=\(directory)", "--rw=write", "--ioengine=psync",
          "--bs=\(load.recordSize)", "--size=\(max(1, count / load.producers) * load.recordSize)",
          "--numjobs=\(load.producers)", "--fdatasync=1", "--fallocate=none", "--group_reporting",
          "--output-format=json",
        ], { _ in false })
      return try Self.nanoseconds(count, perSecond: Self.fioRate(text), text)
    case .rocksdb:
      let text = try launch(
        [
          Self.find("db_bench") ?? "db_bench", "--benchmarks=fillseq", "--db=\(directory)/db", "--sync=1",
          "--threads=\(load.producers)", "--num=\(max(1, count / load.producers))", "--value_size=\(load.recordSize)",
          "--key_size=16", "--compression_type=none",
        ], { _ in false })
      return try Self.nanoseconds(count, perSecond: Self.rocksRate(text), text)
    case .sqliteFull, .sqliteNormal:
      let full: Int32 = kind == .sqliteFull ? 1 : 0
      return try Self.checked(tl_peer_sqlite(directory + "/log.db", full, load.recordSize, UInt64(count)))
    case .lmdb: return try Self.checked(tl_peer_lmdb(directory, load.recordSize, UInt64(count)))
    case .postgres:
      // Fifteen tests follow one another, a second each. Only the first two are waited for.
      let text = try launch(
        [Self.postgresProgram ?? "pg_test_fsync", "-s", "1", "-f", directory + "/pg_test_fsync"],
        { Self.postgresRate($0) != nil })
      return try Self.nanoseconds(count, perSecond: Self.postgresRate(text), text)
    }
  }

  private static func checked(_ nanoseconds: Int64) throws(BenchError) -> Int64 {
    guard nanoseconds < 0 else { return max(1, nanoseconds) }
    throw .peerFailed(String(cString: tl_peer_failure()))
  }

  private static func nanoseconds(_ count: Int, perSecond: Double?, _ text: String) throws(BenchError) -> Int64 {
    guard let rate = perSecond, rate > 0 else { throw .peerFailed("no rate in `\(text.prefix(200))`") }
    return max(1, Int64(Double(count) / rate * 1e9))
  }

  /// `fillseq : 12.345 micros/op 81003 ops/sec 1.235 seconds ...`
  static func rocksRate(_ text: String) -> Double? {
    for line in text.split(separator: "\n") where line.hasPrefix("fillseq") {
      let words = line.split(separator: " ")
      if let at = words.firstIndex(of: "ops/sec"), at > 0 { return Double(words[at - 1]) }
    }
    return nil
  }

  /// `fdatasync   3946.984 ops/sec   253 usecs/op`: the first such line is about one write of 8 KB.
  static func postgresRate(_ text: String) -> Double? {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count > 2, words[0] == "fdatasync", words[2] == "ops/sec" { return Double(words[1]) }
    }
    return nil
  }

  /// Writes a second of all jobs together. Before its JSON `fio` may write notes.
  static func fioRate(_ text: String) -> Double? {
    struct Report: Decodable {
      struct Job: Decodable {
        struct Direction: Decodable { var iops: Double }
        var write: Direction
      }
      var jobs: [Job]
    }
    guard let begin = text.firstIndex(of: "{"), let end = text.lastIndex(of: "}"), begin < end else { return nil }
    do {
      let report = try JSONDecoder().decode(Report.self, from: Data(text[begin...end].utf8))
      return report.jobs.reduce(0) { $0 + $1.write.iops }
    } catch {
      return nil
    }
  }

  /// Debian keeps PostgreSQL's programs in a folder for each version, outside of `PATH`. The newest is taken.
  private static var postgresProgram: String? {
    if let path = find("pg_test_fsync") { return path }
    let root = "/usr/lib/postgresql"
    // A folder that is not there, or cannot be read, has no program to run: `absence` says what to install.
    guard let versions = try? FileManager.default.contentsOfDirectory(atPath: root) else { return nil }
    return versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(root)/\($0)/bin/pg_test_fsync" }
      .first { access($0, X_OK) == 0 }
  }

  /// A program of `PATH`.
  private static func find(_ name: String) -> String? {
    guard let path = getenv("PATH").map({ String(cString: $0) }) else { return nil }
    return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }
}

extension AppendCase {
  /// What the engine and its peers are measured with: single records of 1 KB, each durable before its answer.
  public static let beside: [AppendCase] = [1, 16, 64].map { producers in
    var row = AppendCase(AppendLoad(producers: producers, recordSize: 1024, batch: 1, policy: .always))
    (row.references, row.target) = ([.ref], nil)
    return row
  }
}

/// The engine beside a peer under the same load: both as ratios to the raw loop in the same run.
public struct PeerRatio: Hashable, Sendable {
  public var peer: String
  public var load: AppendLoad
  /// How many times the peer's rate.
  public var times: Double
  /// Of both together, as a part.
  public var spread: Double
  /// What must be reached; nil for most.
  public var minimum: Double?

  public var verdict: BenchRow.TargetVerdict? {
    minimum.map { Noise.verdict(spread: spread, isReached: times >= $0) }
  }

  /// Issue 19: RocksDB is beaten by 4 times at 16 producers, and 6 times at 64.
  static let minima = [16: 4.0, 64: 6.0]
}

extension BenchTable {
  /// The name of the engine's own rows.
  static let engine = "tornlog"

  public var peerRatios: [PeerRatio] {
    let peers = Set(PeerSubject.Kind.allCases.map(\.rawValue))
    return rows.compactMap { row in
      guard peers.contains(row.subject), let load = row.load, let peer = row.primary?.sample,
        let own = rows.first(where: { $0.subject == Self.engine && $0.load == load })?.primary?.sample
      else { return nil }
      return PeerRatio(
        peer: row.subject, load: load, times: own.median / peer.median, spread: max(own.spread, peer.spread),
        minimum: row.subject == PeerSubject.Kind.rocksdb.rawValue ? PeerRatio.minima[load.producers] : nil)
    }
  }
}
