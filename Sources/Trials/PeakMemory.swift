import Glibc

/// The most memory that this process had resident while something ran.
enum PeakMemory {
  /// Bytes resident now, and the peak since the last `reset`. `man 5 proc`: VmRSS, VmHWM. Zero without procfs.
  static func read() -> (resident: Int, peak: Int) {
    guard let text = file("/proc/self/status") else { return (0, 0) }
    func value(_ name: String) -> Int {
      for line in text.split(separator: "\n") where line.hasPrefix(name) {
        return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
      }
      return 0
    }
    return (value("VmRSS:"), value("VmHWM:"))
  }

  /// Makes the peak begin again at what is resident now (`man 5 proc`: 5 into clear_refs).
  static func reset() {
    let descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, "5", 1)
    close(descriptor)
  }

  private static func file(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 16384)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }
}
