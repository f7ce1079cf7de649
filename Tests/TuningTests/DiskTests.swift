import FaultInjection
import LogModel
import Storage
import Testing

@testable import Tuning

@Suite struct DiskTests {
  private func signs(
    _ median: Duration, fileSystem: String = "ext4", options: Set<String> = [], _ device: BlockDevice? = nil
  ) -> [DiskSign.Kind] {
    let n = median.nanoseconds
    let latency = LatencyFigures(messages: 100, p50: n, p90: n, p99: n, p999: n, longest: n)
    let disk = DiskFigures(
      directory: "/data", fileSystem: fileSystem, source: "", messageSize: 1000,
      ways: [FlushFigures(way: .usual, latency: latency, refusal: nil)], strip: [], signs: [], isSlowed: false)
    let place = FileSystemKind(name: fileSystem, source: "/dev/sda1", mountPoint: "/data", options: options)
    return DiskSign.read(disk, device, place).map(\.kind)
  }

  @Test func anHonestDiskShowsNoSign() {
    #expect(signs(.milliseconds(8), BlockDevice(writeCache: "write back", isRotational: true, name: "sda1")) == [])
    #expect(
      signs(.microseconds(400), BlockDevice(writeCache: "write back", isRotational: false, name: "nvme0n1")) == [])
  }

  @Test func whatIsTooFastIsASign() {
    #expect(signs(.microseconds(500), BlockDevice(isRotational: true, name: "sda1")) == [.tooFast])
    #expect(signs(.microseconds(20), BlockDevice(isRotational: false, name: "nvme0n1")) == [.tooFast])
    #expect(signs(.microseconds(2), nil) == [.tooFast])
  }

  @Test func mountsAndLayersAreSigns() {
    #expect(signs(.milliseconds(8), options: ["rw", "nobarrier"]) == [.noBarrier])
    #expect(signs(.milliseconds(8), options: ["barrier=0"]) == [.noBarrier])
    #expect(signs(.microseconds(1), fileSystem: "tmpfs") == [.memory])
    #expect(signs(.milliseconds(8), fileSystem: "overlay") == [.layer])
    #expect(signs(.milliseconds(8), fileSystem: "fuse.sshfs") == [.layer])
    #expect(signs(.milliseconds(8), BlockDevice(writeCache: "write through", name: "sda")) == [.writeThrough])
    #expect(signs(.milliseconds(8), BlockDevice(writeCache: "write back", name: "vda")) == [.virtual])
  }

  @Test func aStripKeepsItsStalls() {
    let moments = (0..<60_000).map { FlushMoment(start: Int64($0) * 1000, latency: $0 == 31_415 ? 200_000_000 : 900) }
    let thinned = DiskProbe.thinned(moments)
    #expect(thinned.count == 600)
    #expect(thinned.contains { $0.latency == 200_000_000 && $0.start == 31_415_000 })
  }

  @Test func theProbeMeasuresARealFolderAndLeavesNothing() throws {
    let folder = try TuningFolder(in: "/tmp")
    let path = folder.path
    let found = try DiskProbe(
      directory: path, messageSize: 1000, time: .milliseconds(20), stripTime: .milliseconds(20)
    ).run()
    #expect(found.ways.count == FlushWay.all.count)
    #expect(found.flush.map { $0.messages > 0 && $0.p50 > 0 } == true)
    #expect(!found.strip.isEmpty)
    #expect(throws: TuningError.self) {
      _ = try DiskProbe(
        directory: path + "/none", messageSize: 1000, time: .milliseconds(1), stripTime: .milliseconds(1)
      ).run()
    }
  }

  /// On a real folder, slowed by the fault layer.
  @Test func aRealFolderWithSlowFlushesIsMeasured() throws {
    let disk = TuningDisk(.folder("/tmp", .auto), timing: FlushTiming(atLeast: .milliseconds(5)))
    let workload = Workload(rate: 2000, messageSize: 100, partitions: 1)
    let load = LoadMeasurement(disk: disk, workload: workload)
    let setting = LoadSetting(.always, batch: 1, producers: 4)
    // Four at most in 5 ms.
    let capacity = try load.capacity(setting, warmUp: .milliseconds(50), length: .milliseconds(200))
    #expect((1...810).contains(capacity), "\(capacity)")
    let always = try load.run(setting, rate: 200, warmUp: .milliseconds(50), length: .milliseconds(200)).figures
    #expect(always.latency.p50 >= 5_000_000)
    let cuts = PowerCuts(disk: disk, workload: workload)
    let cut = try cuts.cut(LoadSetting(.interval(.milliseconds(20)), batch: 1, producers: 4), seed: 3)
    #expect(cut.map { $0.gap == 0 && $0.beyond == .zero } ?? true)
  }
}
