import CrashStates
import Foundation
import Glibc
import LogModel
import LoopDisks
import Synchronization

/// A disk as a power cut would leave it, and what is known of the instant.
struct DiskSnapshot: Sendable {
  var image: ImageFile
  /// Events of the recording that had happened before the instant for certain.
  var known: Int
  /// Events that may have happened by then: none after them had.
  var begun: Int
  /// Not later than the instant.
  var time: Instant
}

/// When a copy is taken, by seed; what is under way then is up to the machine.
struct SnapshotSchedule: Hashable, Sendable {
  /// What the kernel does of its own accord in seconds, and a life of the workload takes less.
  enum WriteBackKind: Hashable, Sendable {
    case none
    /// Of the dirty pages of one file, drawn by this number.
    case file(UInt64)
    /// A commit of the whole file system.
    case commit
  }

  /// Not before the recording has so many events.
  var event: Int
  /// Nanoseconds between that, and the write-back, and the copy.
  var delay: Int
  var writeBack: WriteBackKind

  /// Exposures of one life, in their order.
  /// - Parameter events: of a life, more or less.
  static func drawn(_ count: Int, events: Int, seed: UInt64) -> [SnapshotSchedule] {
    var random = SeededGenerator(seed: seed, stream: "instants")
    return (0..<count).map { _ in
      let event = Int(random.next() % UInt64(max(1, events)))
      // From a microsecond to a millisecond, each power of two as often as the next.
      let delay = 1000 << Int(random.next() % 11)
      let kind = random.next() % 4
      return SnapshotSchedule(
        event: event, delay: delay, writeBack: kind == 0 ? .commit : kind == 1 ? .none : .file(random.next()))
    }.sorted { $0.event < $1.event }
  }
}

/// Takes copies of a disk while an engine writes to it, from a thread of its own: the engine does not wait for it.
///
/// **What a copy is.** The file system under test writes to a loop device; what the device has completed is in the page
/// cache of its image, and what the file system still holds in memory is not. That is what a power cut takes, on a
/// drive that has no volatile cache. The copy is one `FICLONE`, which no write of the device can come into the middle
/// of (`LoopDisks.ImageStore`); the file system is neither frozen nor synced.
///
/// **What is known of the instant.** The recorder's number of events is read before the copy begins and after it has
/// been made. The first reading comes after every completion that it counts, so all that these promise is in the copy.
/// The second comes after the copy, and an operation is counted before it is handed to the kernel, so nothing that is
/// not counted is in it. What lies between may have happened or not: an operation in flight.
final class SnapshotTaker: @unchecked Sendable {
  // `shots` and `failure` belong to the thread until it has ended.

  private let subject: ImageFile
  private let files: String
  private let exposures: [(exposure: SnapshotSchedule, film: ImageFile)]
  private let seen = Atomic<Int>(0)
  private let isOver = Atomic<Bool>(false)
  private let ended = DispatchSemaphore(value: 0)
  private(set) var shots: [DiskSnapshot] = []
  private(set) var failure: LoopDiskError?

  /// - Parameters:
  ///   - subject: the image of the mounted disk.
  ///   - files: the folder in which the engine's files are.
  ///   - exposures: in order, each with what it is kept on.
  init(_ subject: ImageFile, files: String, _ exposures: [(exposure: SnapshotSchedule, film: ImageFile)]) {
    self.subject = subject
    self.files = files
    self.exposures = exposures
  }

  func start() {
    Thread { [self] in
      run()
      ended.signal()
    }.start()
  }

  /// There are so many events now.
  func tell(_ events: Int) { seen.store(events, ordering: .sequentiallyConsistent) }

  /// No copy is taken from now on; one that is being taken is waited for.
  func end() {
    isOver.store(true, ordering: .sequentiallyConsistent)
    ended.wait()
    // For whoever asks again.
    ended.signal()
  }

  private var now: Instant {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return Instant(nanoseconds: Int64(t.tv_sec) * 1_000_000_000 + Int64(t.tv_nsec))
  }

  private func run() {
    for (exposure, film) in exposures {
      while seen.load(ordering: .sequentiallyConsistent) < exposure.event {
        if isOver.load(ordering: .sequentiallyConsistent) { return }
        usleep(20)
      }
      if isOver.load(ordering: .sequentiallyConsistent) { return }
      let commit = begin(exposure.writeBack)
      let due = now + .nanoseconds(exposure.delay)
      while now < due { sched_yield() }
      let time = now
      let known = seen.load(ordering: .sequentiallyConsistent)
      do throws(LoopDiskError) { try film.take(subject) } catch { failure = failure ?? error }
      let begun = seen.load(ordering: .sequentiallyConsistent)
      commit?.wait()
      if failure != nil { return }
      shots.append(DiskSnapshot(image: film, known: known, begun: begun, time: time))
    }
  }

  /// - Returns: signalled when a commit that has been begun is over.
  private func begin(_ kind: SnapshotSchedule.WriteBackKind) -> DispatchSemaphore? {
    switch kind {
    case .none: return nil
    case .file(let number):
      guard let paths = FileManager.default.subpaths(atPath: files)?.sorted(), !paths.isEmpty else { return nil }
      WriteBack.start("\(files)/\(paths[Int(number % UInt64(paths.count))])")
      return nil
    case .commit:
      let over = DispatchSemaphore(value: 0)
      let place = files
      Thread {
        WriteBack.commit(place)
        over.signal()
      }.start()
      return over
    }
  }
}

extension Recording {
  /// Whether it ends before some operation has.
  var hasOperationsInFlight: Bool {
    var flying: Set<Int> = []
    for event in events {
      switch event.what {
      case .submitted(let number): flying.insert(number)
      case .completed(let number, _, _): flying.remove(number)
      case .changed, .fact: break
      }
    }
    return !flying.isEmpty
  }

  /// The recording of an instant that lies somewhere between two moments: what came before the first has happened; what
  /// was begun before the second is in flight. Answers between the two are promises that nobody had heard for certain.
  func cut(known: Int, begun: Int) -> Recording {
    var cut = self
    cut.events = Array(events[..<known])
    for event in events[known..<max(known, begun)] {
      switch event.what {
      case .submitted, .changed: cut.events.append(event)
      case .completed: break
      case .fact: if event.fact?.isAnswer == false { cut.events.append(event) }
      }
    }
    return cut
  }
}
