import Drivers
import Glibc
import LogModel
import LoopDisks
import Synchronization

/// When a copy of a disk is taken, by seed, and what the kernel is made to do before that; what is under way then is up
/// to the machine.
struct DiskExposure: Sendable {
  /// Not before this operation of the trace has begun.
  var sequence: Int
  /// Nanoseconds between that and the copy, which is taken while the replay goes on. Nil: it waits for the copy,
  /// between this operation and the next.
  var delay: Int?
  /// What the kernel does before.
  var deeds: [KernelDeed]
  /// False where nothing but the deeds is wanted.
  var isTaken: Bool

  /// Exposures of one life, in their order. For each copy there are two other places at which the kernel does
  /// something.
  /// - Parameter moments: operations after which copies are wanted; there is one.
  static func drawn(_ count: Int, at moments: [Int], seed: UInt64) -> [DiskExposure] {
    var random = SeededGenerator(seed: seed, stream: "instants")
    return (0..<count * 3).map { number in
      let sequence = moments[Int(random.next() % UInt64(moments.count))]
      // From a microsecond to a millisecond, each power of two as often as the next.
      let delay = random.next() % 2 == 0 ? nil : 1000 << Int(random.next() % 11)
      return DiskExposure(
        sequence: sequence, delay: delay, deeds: (0..<Int(random.next() % 4)).map { _ in KernelDeed(&random) },
        isTaken: number < count)
    }.sorted { $0.sequence < $1.sequence }
  }
}

/// What the kernel does of its own accord in seconds, and a replay takes less.
enum KernelDeed: Sendable {
  /// Some pages of what was written lately, drawn by this number, are written back.
  case pages(UInt64)
  /// The journal, or the transaction, is committed.
  case commitMetadata
  /// All of the file system is.
  case commit

  init(_ random: inout SeededGenerator) {
    switch random.next() % 8 {
    case 0: self = .commitMetadata
    case 1: self = random.next() % 4 == 0 ? .commit : .commitMetadata
    default: self = .pages(random.next())
    }
  }
}

/// A disk as a power cut would leave it, and what is known of the instant.
struct DiskShot: Sendable {
  var image: ImageFile
  /// Operations of the trace before this place had been done.
  var done: Int
  /// The one there was being done.
  var isUnderWay: Bool
}

/// Takes copies of a disk while a trace is replayed on it.
///
/// A copy is what the disk had been given at one instant (`LoopDisks.ImageStore`). The replay waits between two
/// operations while a copy is taken: so one operation at most is in flight in it.
final class DiskCamera: Sendable {
  private let subject: ImageFile
  private let mount: String
  private let folder: String
  private let fileSystem: LoopFileSystem

  private struct State {
    var done = 0
    var isUnderWay = false
    var isOver = false
    var recent: [(path: String, range: Range<Int>)] = []
    var shots: [DiskShot] = []
    var failure: LoopDiskError?
    var commits = 0
  }

  private let state = Mutex(State())

  /// - Parameters:
  ///   - subject: the image of the disk that is mounted at `mount`.
  ///   - folder: where the trace is replayed.
  init(_ subject: ImageFile, _ fileSystem: LoopFileSystem, mount: String, folder: String) {
    (self.subject, self.fileSystem, self.mount, self.folder) = (subject, fileSystem, mount, folder)
  }

  // MARK: The replay

  func begin(_ sequence: Int) { state.withLock { ($0.done, $0.isUnderWay) = (sequence, true) } }

  /// - Parameter written: a file, from the folder on, and the bytes in it.
  func end(_ sequence: Int, written: (path: String, range: Range<Int>)?) {
    state.withLock { state in
      (state.done, state.isUnderWay) = (sequence + 1, false)
      guard let written else { return }
      state.recent.append(written)
      if state.recent.count > 256 { state.recent.removeFirst(128) }
    }
  }

  /// No copy is taken from now on.
  func finish() { state.withLock { $0.isOver = true } }

  // MARK: Copies

  /// What was taken.
  func shots() throws(LoopDiskError) -> [DiskShot] {
    let (shots, failure) = state.withLock { ($0.shots, $0.failure) }
    if let failure { throw failure }
    return shots
  }

  /// Takes the copies of which the replay knows nothing, each at its instant, until the replay is over.
  func watch(_ exposures: [(exposure: DiskExposure, film: ImageFile?)]) {
    for (exposure, film) in exposures {
      while true {
        let (isOver, hasBegun) = state.withLock {
          ($0.isOver, $0.done > exposure.sequence || $0.done == exposure.sequence && $0.isUnderWay)
        }
        if isOver { return }
        if hasBegun { break }
        usleep(100)
      }
      take(exposure, film)
    }
  }

  /// Does what is to be done before a copy, and takes it.
  func take(_ exposure: DiskExposure, _ film: ImageFile?) {
    for deed in exposure.deeds { provoke(deed) }
    guard let film else { return }
    let due = DriverProcess.now + UInt64(exposure.delay ?? 0)
    while DriverProcess.now < due { sched_yield() }
    shoot(film)
  }

  private func shoot(_ film: ImageFile) {
    state.withLock { state in
      guard state.failure == nil, !state.isOver else { return }
      do throws(LoopDiskError) { try film.take(subject) } catch { return state.failure = error }
      state.shots.append(DiskShot(image: film, done: state.done, isUnderWay: state.isUnderWay))
    }
  }

  // MARK: What the kernel does

  /// Makes the kernel do it now. From any thread.
  private func provoke(_ deed: KernelDeed) {
    switch deed {
    case .pages(let number):
      let recent = state.withLock { $0.recent }
      guard !recent.isEmpty else { return }
      // The last writes more often than those before.
      let back = Int(number % UInt64(min(recent.count, 1 << Int((number >> 8) % 8))))
      let (path, range) = recent[recent.count - 1 - back]
      let file = open("\(folder)/\(path)", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return }
      defer { close(file) }
      // A part of its pages: which of them a kernel writes first is its own affair.
      let pages = range.lowerBound / 4096...max(range.lowerBound, range.upperBound - 1) / 4096
      let first = pages.lowerBound + Int((number >> 16) % UInt64(pages.count))
      let count = 1 + Int((number >> 32) % UInt64(pages.upperBound - first + 1))
      WriteBack.write(file, first * 4096..<(first + count) * 4096)
    case .commitMetadata:
      let number = state.withLock {
        $0.commits += 1
        return $0.commits
      }
      WriteBack.commitMetadata(mount, fileSystem, name: "commit-\(number)")
    case .commit: WriteBack.commit(mount)
    }
  }
}
