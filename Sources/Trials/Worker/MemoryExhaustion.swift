import Foundation
import Glibc
import LogModel
import Storage

/// Takes all memory from this process: it may map no more than it has (`man 2 setrlimit`, RLIMIT_AS), and what its
/// allocator had kept back is allocated. The next allocation fails, whoever asks for it, and Swift ends a process that
/// it fails in.
final class MemoryExhaustion: @unchecked Sendable {
  // The semaphore orders the loop's thread and the one that waits.

  /// How long the engine may go on without allocating anything, before the harness does in its place.
  static let patience = Duration.seconds(2)

  /// Bytes that the process has mapped (`man 5 proc`: the first number of `statm` counts pages).
  let limit: Int
  private let fire = DispatchSemaphore(value: 0)
  private var hoard: UnsafeMutableRawPointer?
  private var slack: UnsafeMutableRawPointer?

  /// - Throws: `TrialError` where there can be no more threads.
  init(patience: Duration) throws(TrialError) {
    let pages = PeakMemory.file("/proc/self/statm")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
    let microseconds = UInt32(patience.inSeconds * 1e6)
    // Its stack is mapped before the limit is measured.
    let fire = fire
    let code = SystemThread.start(stack: 1 << 20) {
      fire.wait()
      usleep(microseconds)
      // Larger than what a free list may have got back meanwhile.
      while true {
        UnsafeMutableRawPointer.allocate(byteCount: 64 << 20, alignment: 16).initializeMemory(as: UInt8.self, to: 0)
      }
    }
    guard code == 0 else { throw .system("start a thread in", "a worker", code) }
    limit = pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// - Parameter slack: blocks of some hundred bytes that are left: so many allocations later the process dies,
  ///   wherever it is then.
  /// - Throws: `TrialError` where the process cannot be limited.
  func begin(slack: Int) throws(TrialError) {
    // A core file would be left behind, as large as the process.
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    _ = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    for _ in 0..<slack { _ = Self.take(Self.slackBytes, into: &self.slack) }
    var bounds = rlimit(rlim_cur: rlim_t(limit), rlim_max: rlim_t(limit))
    guard limit > 0, setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &bounds) == 0 else {
      throw .system("limit the memory of", "this process", errno)
    }
    var size = 1 << 20
    while size >= 16 {
      while Self.take(size, into: &hoard) {}
      size /= 2
    }
    while let block = self.slack {
      self.slack = block.load(as: UnsafeMutableRawPointer?.self)
      free(block)
    }
    // Whoever fails to allocate may wait for ever for a lock of somebody who has: then it is ended, as the kernel
    // would.
    signal(SIGALRM, SIG_DFL)
    alarm(Self.lastSeconds)
    // Nobody allocates without end before there is an end.
    fire.signal()
  }

  private static let slackBytes = 256
  /// Until the process is ended by a signal that needs no memory (`man 2 alarm`).
  private static let lastSeconds: UInt32 = 8

  /// Allocates a block and puts it before a list of such: one that nobody needs the compiler may never ask for.
  private static func take(_ size: Int, into list: inout UnsafeMutableRawPointer?) -> Bool {
    guard let block = malloc(size) else { return false }
    block.storeBytes(of: list, as: UnsafeMutableRawPointer?.self)
    list = block
    return true
  }
}
