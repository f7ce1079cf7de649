import LogModel
import Testing

@testable import Benchmarks

@Suite struct PeerTests {
  @Test func ratesAreReadFromWhatPeersPrint() {
    let rocks = """
      DB path: [/tmp/db]
      fillseq      :      12.345 micros/op 81003 ops/sec 1.235 seconds 100000 operations;   80.4 MB/s
      """
    #expect(PeerSubject.rocksRate(rocks) == 81003)
    #expect(PeerSubject.rocksRate("open error: no space") == nil)
    let fio =
      #"note: both iodepth >= 1 and synchronous I/O engine are selected"#
      + #"{"jobs":[{"write":{"iops":100.5}},{"write":{"iops":2}}]}"#
    #expect(PeerSubject.fioRate(fio) == 102.5)
    #expect(PeerSubject.fioRate("fio: no such job") == nil)
    let postgres = """
      Compare file sync methods using one 8kB write:
              open_datasync                      1828.294 ops/sec     547 usecs/op
              fdatasync                          3946.984 ops/sec     253 usecs/op
      Compare file sync methods using two 8kB writes:
              fdatasync                          1094.049 ops/sec     914 usecs/op
      """
    #expect(PeerSubject.postgresRate(postgres) == 3946.984)
    #expect(
      PeerSubject.postgresRate("(in wal_sync_method preference order, except fdatasync is Linux's default)") == nil)
    #expect(PeerSubject.postgresRate("        fdatasync                 ") == nil)
  }

  /// Real peers, where they are installed; which, the test says.
  @Test(arguments: PeerSubject.Kind.allCases) func anInstalledPeerCommits(kind: PeerSubject.Kind) throws {
    let folder = try BenchScratch(in: "/tmp")
    let peer = PeerSubject(kind) { arguments, _ in
      throw BenchError.peerFailed("the test starts no \(arguments[0])")
    }
    guard peer.absence == nil else {
      print("skipped: \(peer.absence ?? "")")
      return
    }
    let load = AppendLoad(producers: 1, recordSize: 1024, batch: 1, policy: .always)
    switch kind {
    case .fio, .rocksdb, .postgres:
      #expect(throws: BenchError.self) { try peer.run(load, count: 10, in: folder.path) }
    case .sqliteFull, .sqliteNormal, .lmdb:
      #expect(try peer.run(load, count: 20, in: try folder.folder("peer")) > 0)
      // A folder that is not there: the library's own words.
      #expect(throws: BenchError.self) { try peer.run(load, count: 1, in: folder.path + "/none/none") }
      #expect(!peer.takes(AppendLoad(producers: 16, recordSize: 1024, batch: 1, policy: .always)))
    }
  }

  @Test func theEngineIsJudgedBesideRocksDB() {
    func row(_ subject: String, _ producers: Int, _ ratio: Double) -> BenchRow {
      BenchRow(
        subject: subject, load: AppendLoad(producers: producers, recordSize: 1024, batch: 1, policy: .always),
        rate: Sample([ratio * 1000]),
        ratios: [Ratio(reference: "REF", sample: Sample([ratio]), referenceRate: Sample([1000]))], target: nil)
    }
    var table = BenchTable(directory: "/tmp", fileSystem: "ext4")
    table.rows = [row("tornlog", 16, 10), row("RocksDB", 16, 2), row("tornlog", 64, 20), row("RocksDB", 64, 4)]
    #expect(table.peerRatios.map(\.times) == [5, 5])
    #expect(table.peerRatios.map(\.verdict) == [.met, .missed])
    #expect(table.exitCode == 1)
    #expect(table.renderText().contains("the engine beside"))

    let markdown = table.renderMarkdown("tornlog bench --peers")
    #expect(markdown.contains("Made by `tornlog bench --peers` in /tmp (ext4). Do not edit."))
    #expect(markdown.contains("\n| RocksDB | 64 | 5.00 | 0% | >= 6.0 | MISSED |\n"))
    let html = table.renderHTML("tornlog bench --peers")
    #expect(html.contains("<svg") && html.contains("RocksDB, 64"))
    // Nothing is loaded from elsewhere.
    #expect(!html.contains("http") && !html.contains("src=") && !html.contains("url("))
  }
}
