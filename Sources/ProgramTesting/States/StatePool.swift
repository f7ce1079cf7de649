import CrashStates
import Dispatch
import Synchronization
import VolumeStates

/// Workers for threads that visit states at the same time.
final class StatePool {
  private let workers: [StateWorker]

  init(
    _ spec: ProgramSpec, _ workload: ProgramWorkload, name: String, jobs: Int
  ) throws(ProgramTestError) {
    var made: [StateWorker] = []
    for number in 0..<max(1, jobs) {
      made.append(try StateWorker(spec, workload, name: "\(name)-\(number)"))
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
    let slots: UnsafeMutablePointer<Result<StateWorker.Visit, ProgramTestError>?>
  }

  /// Visits states; the result of each, in their order.
  func visit(
    _ images: [DiskImage], of program: RecordedProgram, _ boot: StateWorker.Boot, knowing known: BehaviourCache?
  ) throws(ProgramTestError) -> [StateWorker.Visit] {
    let slots = UnsafeMutablePointer<Result<StateWorker.Visit, ProgramTestError>?>.allocate(capacity: images.count)
    slots.initialize(repeating: nil, count: images.count)
    defer {
      slots.deinitialize(count: images.count)
      slots.deallocate()
    }
    let shared = Shared(workers: workers, images: images, program: program, boot: boot, known: known, slots: slots)
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: min(workers.count, images.count)) { number in
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < shared.images.count else { return }
        do throws(ProgramTestError) {
          shared.slots[index] = .success(
            try shared.workers[number].visit(
              shared.images[index], of: shared.program, shared.boot, knowing: shared.known))
        } catch { shared.slots[index] = .failure(error) }
      }
    }
    var visits: [StateWorker.Visit] = []
    for index in images.indices { visits.append(try slots[index]!.get()) }
    return visits
  }

  /// What programs read of states, each of which is opened.
  func read(
    _ images: [DiskImage], of program: RecordedProgram, _ boot: StateWorker.Boot
  ) throws(ProgramTestError) -> [StateReading] {
    try visit(images, of: program, boot, knowing: nil).map { $0.reading! }
  }

  /// One state over two lives.
  func visitTwice(
    _ image: DiskImage, of program: RecordedProgram, _ boot: StateWorker.Boot
  ) throws(ProgramTestError) -> StateWorker.SecondVisit {
    try workers[0].visitTwice(image, of: program, boot)
  }
}
