import Glibc
import LogModel
import Storage
import Testing

@testable import Benchmarks

/// A folder of its own for one test, removed with the object.
final class TestFolder {
  let path: String

  init() {
    var template = Array("/tmp/tornlog-test-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  var names: [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  deinit { WorkFolder.removeTree(path) }
}

/// Says that each message took `nanoseconds`; leaves a file behind, as an engine does.
private func subject(_ name: String, nanoseconds: Double, folders: Folders = Folders()) -> ClosureAppendSubject {
  ClosureAppendSubject(name) { load, count, directory in
    #expect(count % (load.producers * load.batch) == 0)
    folders.sawEmpty = folders.sawEmpty && access(directory + "/segment", F_OK) != 0
    close(open(directory + "/segment", O_CREAT | O_WRONLY, 0o600))
    return Int64(Double(count) * nanoseconds)
  }
}

private final class Folders {
  var sawEmpty = true
}

private final class Counts {
  var all: [Int] = []
}

private final class Counter: @unchecked Sendable {
  // Used by one thread.

  private var value = 0
  var isAsked: Bool { value > 0 }
  func next() -> Int {
    value += 1
    return value
  }
}

private struct FixedScan: ScanSubject {
  var name = "fixed"
  var bytesPerSecond: Double
  func prepare(bytes: Int, in directory: String) {}
  func run(in directory: String) -> ScanOutcome {
    ScanOutcome(bytes: 1_000_000, nanoseconds: Int64(1e15 / bytesPerSecond))
  }
}

@Suite(.serialized) struct BenchTests {
  let folder = TestFolder()

  private func bench(_ append: [any AppendSubject], _ scan: [any ScanSubject] = []) throws -> Bench {
    var options = try BenchOptions(directory: folder.path, quick: true, rounds: 2)
    options.slice = 300_000
    options.scanBytes = 1 << 20
    var bench = Bench(options, append: append, scan: scan)
    let load = AppendLoad(producers: 16, recordSize: 1024, batch: 1, policy: .always)
    bench.appendCases = [AppendCase(load)]
    return bench
  }

  @Test func `a subject that is fast enough meets its target`() throws {
    let folders = Folders()
    let table = try bench([subject("instant", nanoseconds: 1, folders: folders)]).run()
    let row = try #require(table.rows.first)
    #expect(row.rate.median == 1e9)
    // The disk under the reference may be noisy: then there is no verdict (`BenchTableTests`), and it is no miss.
    #expect(row.verdict == .met || row.verdict == .noisy)
    #expect(try #require(row.primary).sample.median >= #require(row.target).minimum)
    #expect(table.exitCode == (row.verdict == .met ? 0 : 2))
    #expect(folders.sawEmpty)
  }

  @Test func `a subject that is too slow misses it, and the exit code is 1`() throws {
    var table = try bench([subject("slow", nanoseconds: 1e9)]).run()
    let row = try #require(table.rows.first)
    #expect(row.verdict == .missed || row.verdict == .noisy)
    let ratio = try #require(row.primary).sample.median
    #expect(try ratio < #require(row.target).minimum)
    // The same on a disk without noise.
    table.rows[0].ratios[0].sample = Sample([ratio, ratio])
    #expect(table.exitCode == 1)
    #expect(table.renderText().contains("MISSED"))
    #expect(table.renderText().contains("target 8.0 x REF"))
  }

  @Test func `a disk that stalls once while the count is found does not shrink the slices`() throws {
    let calls = Counter()
    let counts = Counts()
    let stalling = ClosureAppendSubject("stalling") { _, count, _ in
      counts.all.append(count)
      return calls.next() == 1 ? 1_000_000_000 : Int64(count) * 1000
    }
    let bench = try bench([stalling])
    let table = try bench.run()
    #expect(table.rows[0].rate.median == 1e6)
    // A microsecond a record: a slice holds as many records as it has microseconds.
    #expect(counts.all.suffix(2).allSatisfy { Int64($0) * 1000 * 2 >= bench.options.slice })
  }

  @Test func `REF measured as a subject against REF is about 1`() throws {
    let copy = ClosureAppendSubject("copy") { load, count, directory in
      try RawReference.ref.append(count: count, recordSize: load.recordSize, in: directory).nanoseconds
    }
    var bench = try bench([copy])
    bench.options.slice = 20_000_000
    bench.options.rounds = 5
    let table = try bench.run()
    let ratio = try #require(table.rows.first?.primary)
    // Wide, since the machine is shared; a ratio turned upside down or a count left out is far outside.
    #expect((0.3...3).contains(ratio.sample.median))
  }

  @Test func `a scan is held against the slower of checksum and read`() throws {
    let slow = try bench([], [FixedScan(bytesPerSecond: 1e6)]).run()
    #expect(slow.exitCode != 0)
    let row = try #require(try bench([], [FixedScan(bytesPerSecond: 1e15)]).run().rows.first)
    #expect(row.verdict == .met || row.verdict == .noisy)
    #expect(row.ratios.map(\.reference) == [ScanCase.slowest, "crc32", "cached-read"])
    #expect(row.ratios[0].referenceRate.median <= row.ratios[1].referenceRate.maximum)
    #expect(row.ratios[0].referenceRate.median <= row.ratios[2].referenceRate.maximum)
  }

  @Test func `nothing is left behind, after success, error and interruption`() throws {
    _ = try bench([subject("instant", nanoseconds: 1)]).run()
    #expect(folder.names == [])

    struct Broken: Error {}
    let broken = ClosureAppendSubject("broken") { _, _, _ in throw Broken() }
    let failing = try bench([broken])
    #expect(throws: Broken.self) { try failing.run() }
    #expect(folder.names == [])

    var interrupted = try bench([subject("instant", nanoseconds: 1)])
    let slices = Counter()
    interrupted.isCancelled = { slices.next() > 3 }
    let partial = try interrupted.run()
    #expect(partial.isInterrupted && partial.rows.isEmpty && partial.exitCode == 130)
    #expect(try partial.renderJSON().contains("\"interrupted\" : true"))
    #expect(folder.names == [])
  }

  @Test func `what was measured before an interruption is reported`() throws {
    var bench = try bench([subject("instant", nanoseconds: 1)], [FixedScan(bytesPerSecond: 1e15)])
    let rows = Counter()
    bench.onProgress = { progress in if progress.done == 1 { _ = rows.next() } }
    bench.isCancelled = { rows.isAsked }
    let table = try bench.run()
    #expect(table.isInterrupted && table.rows.map(\.subject) == ["instant"])
    #expect(table.renderText().contains("interrupted after 1 of 2 rows"))
  }

  @Test func `a row whose rounds disagree is measured again, and then has no verdict`() throws {
    let calls = Counter()
    let counts = Counts()
    // Every other slice takes a thousand times as long: no reference beside it is ever slow enough to make up for that.
    let restless = ClosureAppendSubject("restless") { _, count, _ in
      counts.all.append(count)
      return Int64(Double(count) * (calls.next() % 2 == 0 ? 1e9 : 1e12))
    }
    let table = try bench([restless]).run()
    #expect(table.rows.map(\.verdict) == [.noisy] && table.rows.map(\.measurements) == [Noise.mostMeasurements])
    #expect(table.exitCode == 2)
    #expect(table.renderText().contains("NOISY") && !table.renderText().contains("MISSED"))
    #expect(try table.renderJSON().contains("\"noisy\" : 1"))
  }

  @Test func `the main reference stands on both sides of each round, the others around it`() throws {
    let ratios = try bench([subject("instant", nanoseconds: 1)]).run().rows[0].ratios
    #expect(ratios[0].reference == "REF")
    #expect(ratios[0].referenceRate.rounds == 2 * ratios[0].sample.rounds)
    for ratio in ratios.dropFirst() { #expect(ratio.referenceRate.rounds == ratio.sample.rounds + 1) }
  }

  @Test func `only and an empty list of subjects`() throws {
    var options = try BenchOptions(directory: folder.path, only: .scan)
    options.scanBytes = 1 << 20
    let bench = Bench(options, append: [subject("instant", nanoseconds: 1)], scan: [])
    #expect(throws: BenchError.nothingSelected) { try bench.run() }
    #expect(BenchError.nothingSelected.exitCode == 3)
  }

  @Test func `a directory that is not there is named, with what to do`() throws {
    let options = try BenchOptions(directory: folder.path + "/absent")
    let bench = Bench(options, append: [subject("instant", nanoseconds: 1)], scan: [])
    let error = #expect(throws: BenchError.self) { try bench.run() }
    #expect(error?.exitCode == 69)
    #expect("\(error!)".contains("/absent: ") && "\(error!)".contains("--dir"))
  }
}

@Suite struct RawReferenceTests {
  let folder = TestFolder()

  @Test(arguments: [
    RawReference.ref, .syncedWrites(.growing, batch: 1), .syncedWrites(.zeroFilled, batch: 4), .ringWrites(group: 1),
    .ringWrites(group: 16), .ringQueue(depth: 8), .checksummedBlocks(.growing), .checksummedBlocks(.zeroFilled),
  ])
  func `each append loop writes what it was asked for and leaves no file`(reference: RawReference) throws {
    for size in [100, 1024] {
      do throws(RawReferenceError) {
        let measure = try reference.append(count: 32, recordSize: size, in: folder.path)
        #expect(measure.units == 32)
      } catch {
        // A kernel or file system without io_uring or O_DIRECT: the driver leaves these loops out.
        #expect(error.isUnsupported, "\(error)")
      }
    }
    #expect(folder.names == [])
  }

  @Test(arguments: [RawReference.cachedRead, .checksum])
  func `each scan loop runs`(reference: RawReference) throws {
    #expect(try reference.scan(bytes: 1_000_000, in: folder.path).units == 1_000_000)
    #expect(folder.names == [])
  }

  @Test func `an error names the loop, the path and the remedy`() {
    let error = #expect(throws: RawReferenceError.self) {
      try RawReference.ref.append(count: 1, recordSize: 1024, in: "/tmp/tornlog-absent")
    }
    #expect(error?.errno == ENOENT)
    #expect("\(error!)".contains("REF (pwrite of one record + fdatasync, zero-filled file) on /tmp/tornlog-absent/"))
    #expect("\(error!)".contains("--dir"))
  }
}

/// An `AppendSubject` made of a closure.
private struct ClosureAppendSubject: AppendSubject {
  let name: String
  private let body: (AppendLoad, Int, String) throws -> Int64

  init(_ name: String, run body: @escaping (_ load: AppendLoad, _ count: Int, _ directory: String) throws -> Int64) {
    self.name = name
    self.body = body
  }

  func run(_ load: AppendLoad, count: Int, in directory: String) throws -> Int64 {
    try body(load, count, directory)
  }
}
