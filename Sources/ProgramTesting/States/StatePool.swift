import CrashStates
import Dispatch
import Drivers
import Synchronization
import VolumeStates

/// Workers for threads that visit states at the same time.
final class StatePool {
  private let workers: [StateWorker]
  let patience: Patience

  /// - Parameter patience: nil for one of its own.
  init(
    _ spec: ProgramSpec, _ workload: ProgramWorkload, name: String, jobs: Int, _ patience: Patience? = nil
  ) throws(ProgramTestError) {
    self.patience = patience ?? Patience(spec.requestLimit)
    var made: [StateWorker] = []
    for number in 0..<max(1, jobs) {
      made.append(try StateWorker(spec, workload, name: "\(name)-\(number)", self.patience))
    }
    workers = made
  }

  /// Drivers that were started.
  var starts: Int { workers.reduce(0) { $0 + $1.starts } }

  /// What all of them have spent, and how many requests the kernel has sent them.
  var times: StateWorker.Times { workers.reduce(StateWorker.Times()) { $0 + $1.times } }
  var roundTrips: [Int] {
    workers.reduce(into: []) { all, worker in
      let own = worker.roundTrips
      all = all.isEmpty ? own : zip(all, own).map { $0 + $1 }
    }
  }
  func clearTimes() { for worker in workers { worker.clearTimes() } }

  private struct Shared: @unchecked Sendable {
    // Each worker is used by one thread at a time, and each slot is written by the thread that got its index.
    let workers: [StateWorker]
    let images: [DiskImage]
    let program: RecordedProgram
    let boot: StateWorker.Boot
    let known: BehaviourCache?
    let deadline: UInt64
    let isRepeat: Bool
    let slots: UnsafeMutablePointer<Result<StateWorker.Visit, ProgramTestError>?>
  }

  /// Visits states; the result of each, in their order.
  /// - Parameters:
  ///   - deadline: of those that come after it none is reached, but the first is.
  ///   - isRepeat: see `StateWorker.visit`.
  func visit(
    _ images: [DiskImage], of program: RecordedProgram, _ boot: StateWorker.Boot, knowing known: BehaviourCache?,
    until deadline: UInt64 = .max, isRepeat: Bool = false
  ) throws(ProgramTestError) -> [StateWorker.Visit] {
    let slots = UnsafeMutablePointer<Result<StateWorker.Visit, ProgramTestError>?>.allocate(capacity: images.count)
    slots.initialize(repeating: nil, count: images.count)
    defer {
      slots.deinitialize(count: images.count)
      slots.deallocate()
    }
    let shared = Shared(
      workers: workers, images: images, program: program, boot: boot, known: known, deadline: deadline,
      isRepeat: isRepeat, slots: slots)
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: min(workers.count, images.count)) { number in
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < shared.images.count else { return }
        if index > 0, DriverProcess.now >= shared.deadline {
          shared.slots[index] = .success(StateWorker.Visit(reading: nil, hash: 0, isReached: false))
          continue
        }
        do throws(ProgramTestError) {
          shared.slots[index] = .success(
            try shared.workers[number].visit(
              shared.images[index], of: shared.program, shared.boot, knowing: shared.known,
              isRepeat: shared.isRepeat))
        } catch { shared.slots[index] = .failure(error) }
      }
    }
    var visits: [StateWorker.Visit] = []
    for index in images.indices { visits.append(try slots[index]!.get()) }
    return visits
  }

  /// What programs read of states, each of which is opened.
  /// - Parameter isRepeat: see `StateWorker.visit`.
  func read(
    _ images: [DiskImage], of program: RecordedProgram, _ boot: StateWorker.Boot, isRepeat: Bool = false
  ) throws(ProgramTestError) -> [StateReading] {
    try visit(images, of: program, boot, knowing: nil, isRepeat: isRepeat).map { $0.reading! }
  }

  /// One state over two lives.
  func visitTwice(
    _ image: DiskImage, of program: RecordedProgram, _ boot: StateWorker.Boot
  ) throws(ProgramTestError) -> StateWorker.SecondVisit {
    try workers[0].visitTwice(image, of: program, boot)
  }
}
