import Foundation
import Glibc
import LogModel

/// Takes all memory from this process: it may map no more than it has (`man 2 setrlimit`, RLIMIT_AS), and what its allocator had
/// kept back is allocated. The next allocation fails, whoever asks for it, and Swift ends a process that it fails in.
final class MemoryExhaustion: @unchecked Sendable {
  // The semaphore orders the loop's thread and the one that waits.

  /// How long the engine may go on without allocating anything, before the harness does in its place.
  static let patience = Duration.seconds(2)

  /// Bytes that the process has mapped (`man 5 proc`: the first number of `statm` counts pages).
  let limit: Int
  private let fire = DispatchSemaphore(value: 0)

  init(patience: Duration) {
    let pages = PeakMemory.file("/proc/self/statm")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
    let microseconds = UInt32(patience.inSeconds * 1e6)
    // Its stack is mapped before the limit is measured.
    let fire = fire
    let thread = Thread {
      fire.wait()
      usleep(microseconds)
      // Larger than what a free list may have got back meanwhile.
      while true { UnsafeMutableRawPointer.allocate(byteCount: 64 << 20, alignment: 16).initializeMemory(as: UInt8.self, to: 0) }
    }
    thread.stackSize = 1 << 20
    thread.start()
    limit = pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// - Throws: `TrialError` where the process cannot be limited.
  func begin() throws(TrialError) {
    fire.signal()
    var bounds = rlimit(rlim_cur: rlim_t(limit), rlim_max: rlim_t(limit))
    guard limit > 0, setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &bounds) == 0 else {
      throw .system("limit the memory of", "this process", errno)
    }
    var size = 1 << 20
    while size >= 16 {
      while malloc(size) != nil {}
      size /= 2
    }
  }
}
