import FaultInjection
import LogModel
import Storage

@testable import Tuning

/// Disks whose latencies are known, in virtual time.
enum SimulatedDisk {
  /// A flush takes this long, always; a write to the page cache 10 µs.
  static func flush(_ time: Duration, stall: FlushTiming.Stall? = nil) -> TuningDisk {
    let n = time.nanoseconds
    let latency = MemoryLatency(
      read: 5_000...5_000, write: 10_000...10_000, durableWrite: max(n, 10_000)...max(n, 10_000), sync: n...n,
      names: 5_000...5_000)
    return TuningDisk(.simulated(latency), timing: stall.map { FlushTiming(stall: $0) })
  }

  static let load = Workload(rate: 20_000, messageSize: 1000, partitions: 3)
}

extension TuningEffort {
  /// Enough for a simulated disk.
  static let brief = TuningEffort(
    probe: .zero, strip: .zero, flatOut: .milliseconds(50), atRate: .milliseconds(1200), warmUp: .milliseconds(20),
    rounds: 1,
    cuts: 4, alwaysCuts: 4, cutTime: .seconds(60), compared: [], isThorough: false)
}
