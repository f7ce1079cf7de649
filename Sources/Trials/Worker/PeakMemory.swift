import CProcess
import Glibc
import LogModel
import ScenarioFormat

/// The most memory that this process had resident while something ran.
enum PeakMemory {
  /// Bytes resident now, and the peak since the last `reset`. `man 5 proc`: VmRSS, VmHWM. Zero without procfs.
  static func read() -> (resident: Int, peak: Int) {
    guard let text = file("/proc/self/status") else { return (0, 0) }
    func value(_ name: String) -> Int {
      for line in text.split(separator: "\n") where line.hasPrefix(name) {
        return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0)
          << 10
      }
      return 0
    }
    return (value("VmRSS:"), value("VmHWM:"))
  }

  /// Makes the peak begin again at what is resident now (`man 5 proc`: 5 into clear_refs).
  /// - Parameter trimming: whether memory that was freed goes back to the kernel first: what is taken from it would not
  ///   show.
  static func reset(trimming: Bool) {
    if trimming { tl_return_freed_memory() }
    let descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, "5", 1)
    close(descriptor)
  }

  /// The text of a file of procfs, which tells no size before it is read.
  static func file(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 16384)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }
}

extension TrialSpec {
  /// Bytes that the opening of an engine may take: what it is configured with for each partition, windows to read
  /// through, an index of 16 bytes for 4 KiB of log in arrays that double, and an allowance for everything that does
  /// not grow.
  /// - Parameter bytes: that it reads.
  /// - Returns: nil where the log is not larger than that.
  func recoveryMemory(scanning bytes: Int) -> Int? {
    let commit = TrialPlanner.commitBytes(self)
    let limit = (self.partitions + 3) * commit + 3 * (commit + (512 << 10)) + (8 << 20) + bytes / 64
    return bytes > limit ? limit : nil
  }

  /// Whether its messages alone make a log of which recovery's memory is judged.
  var mayJudgeMemory: Bool {
    recoveryMemory(scanning: 2 * messages * (self.messageSize + self.keys.largest)) != nil
  }
}
