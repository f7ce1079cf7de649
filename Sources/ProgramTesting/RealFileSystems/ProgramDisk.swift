import CrashStates
import Drivers
import Foundation
import Glibc
import LoopDisks
import Volume
import VolumeStates

/// A disk with a real file system, on which a recorded program's operations are done once more.
struct ProgramDisk {
  /// The folder of the program's files, on each disk.
  private static let folder = "data"

  let spec: ProgramSpec
  let program: RecordedProgram
  let store: ImageStore
  let fileSystem: LoopFileSystem
  /// The recorded run, up to its last operation that changes anything.
  private let operations: [VolumeOperation]
  private let root: UInt64
  private let blank: ImageFile

  /// - Parameter root: the inode of the program's folder on its volume.
  init(
    _ spec: ProgramSpec, _ program: RecordedProgram, _ store: ImageStore, _ fileSystem: LoopFileSystem
  ) throws(ProgramTestError) {
    (self.spec, self.program, self.store, self.fileSystem) = (spec, program, store, fileSystem)
    operations = Array(program.trace.operations.prefix((program.recorded.sequences.last ?? -1) + 1))
    root = program.root
    let room = program.footprint * 3
    blank = try onDisk { () throws(LoopDiskError) in
      let image = try store.format(fileSystem, room: room)
      let mount = try LoopMount(image, fileSystem, at: store.place("blank"))
      let folder = "\(mount.path)/\(Self.folder)"
      guard mkdir(folder, 0o777) == 0, chmod(folder, 0o777) == 0 else { throw .refused("mkdir", folder, errno: errno) }
      try mount.unmount()
      return image
    }
  }

  // MARK: A life

  /// What came of one replay.
  struct Life: Sendable {
    var shots: [DiskShot] = []
    /// CLOCK_MONOTONIC, nanoseconds, of each operation that was done.
    var times: [Range<Int64>] = []
    var refusal: String?
  }

  /// Replays the run on a new disk, while copies of it are taken.
  func live(_ exposures: [DiskExposure], isCancelled: @escaping @Sendable () -> Bool) throws(ProgramTestError) -> Life {
    let (image, mount, films) = try onDisk { () throws(LoopDiskError) in
      let image = try store.copy(blank)
      var films: [(exposure: DiskExposure, film: ImageFile?)] = []
      for exposure in exposures { films.append((exposure, exposure.isTaken ? try store.empty() : nil)) }
      return (image, try LoopMount(image, fileSystem, at: store.place("work")), films)
    }
    let folder = "\(mount.path)/\(Self.folder)"
    let camera = DiskCamera(image, fileSystem, mount: mount.path, folder: folder)
    let watching = Joined<Void> { camera.watch(films.filter { $0.exposure.delay != nil }) }
    let replay = TraceReplay(
      operations, program.trace, root: root, folder: folder, camera, films.filter { $0.exposure.delay == nil })
    let (times, failure) = Joined { replay.run(isCancelled) }.value
    camera.finish()
    watching.value
    return try onDisk { () throws(LoopDiskError) in
      try mount.unmount()
      var life = Life(times: times)
      switch failure {
      case .disk(let error): throw error
      case .refused(let refusal): life.refusal = "\(refusal)"
      case nil: break
      }
      life.shots = try camera.shots()
      return life
    }
  }

  // MARK: A copy

  /// What became of a copy.
  enum Examination {
    case looked(MountedImage, StateReading)
    /// A file or a directory gave an error, or the journal could not be replayed.
    case unreadable(String)
  }

  /// What is there on a copy once its journal has been replayed, and what the program serves of it. The copy stays as
  /// it is.
  func examine(_ shot: DiskShot) throws(ProgramTestError) -> Examination {
    let image = try onDisk { () throws(LoopDiskError) in try store.copy(shot.image) }
    let mount: LoopMount
    do throws(LoopDiskError) { mount = try LoopMount(image, fileSystem, at: store.place("look")) } catch {
      // It could be mounted before the replay.
      if error.isOfMount, !error.isShortage { return .unreadable("\(error)") }
      throw .disk(error)
    }
    let folder = "\(mount.path)/\(Self.folder)"
    let found: Examination
    switch Result(catching: { () throws(MountedImage.Unreadable) in try MountedImage(reading: folder) }) {
    case .success(let files): found = .looked(files, try recover(folder))
    case .failure(let error) where [ENOMEM, EMFILE, ENFILE].contains(error.errno): throw .machine("\(error)")
    case .failure(let error): found = .unreadable("\(error)")
    }
    try onDisk { () throws(LoopDiskError) in try mount.unmount() }
    return found
  }

  /// Opens the program on a folder, and reads everything. An isolated one finds it where it was while it was recorded.
  private func recover(_ folder: String) throws(ProgramTestError) -> StateReading {
    var place = DriverPlace()
    (place.isIsolated, place.isOfAnotherBoot) = (spec.isIsolated, true)
    if spec.isIsolated { place.binds = [(folder, program.folder)] }
    let session: DriverSession
    do throws(DriverError) { session = try DriverSession(spec.command, place, limit: spec.requestLimit) } catch {
      throw .driver(error)
    }
    defer { session.process.end() }
    return StateReading.take(
      opening: spec.isIsolated ? program.folder : folder, spec.config, session, program.workload)
  }
}

/// An error of a disk is one of the test.
func onDisk<Value>(_ body: () throws(LoopDiskError) -> Value) throws(ProgramTestError) -> Value {
  do throws(LoopDiskError) { return try body() } catch { throw .disk(error) }
}

/// Work on a thread of its own, and what comes of it.
final class Joined<Value: Sendable>: @unchecked Sendable {
  // `result` is written before the signal and read after it.

  private let done = DispatchSemaphore(value: 0)
  private var result: Value?

  init(_ body: @escaping @Sendable () -> Value) {
    Thread { [self] in
      result = body()
      done.signal()
    }.start()
  }

  /// Waits for it.
  var value: Value {
    done.wait()
    // For whoever asks again.
    done.signal()
    return result!
  }
}

extension RecordedProgram {
  var trace: VolumeTrace { mount.volume.trace }

  /// Bytes that its files took at the most, those that were removed included.
  var footprint: Int {
    var ends: [Int32: Int] = [:]
    for operation in recording.operations {
      switch operation {
      case .write(let file, let offset, let bytes, _): ends[file] = max(ends[file] ?? 0, offset + bytes.count)
      case .allocate(let file, let end, _): ends[file] = max(ends[file] ?? 0, end)
      default: break
      }
    }
    return ends.values.reduce(0, +)
  }
}

/// The operations of a trace on a folder, one after the other.
struct TraceReplay: Sendable {
  enum Failure: Error {
    case disk(LoopDiskError)
    case refused(ReplayRefusal)
  }

  private let operations: [VolumeOperation]
  private let trace: VolumeTrace
  private let root: UInt64
  private let folder: String
  private let camera: DiskCamera
  private let exposures: [(exposure: DiskExposure, film: ImageFile?)]

  /// - Parameter exposures: for which it stops, in their order.
  init(
    _ operations: [VolumeOperation], _ trace: VolumeTrace, root: UInt64, folder: String, _ camera: DiskCamera,
    _ exposures: [(exposure: DiskExposure, film: ImageFile?)]
  ) {
    (self.operations, self.trace, self.root, self.folder) = (operations, trace, root, folder)
    (self.camera, self.exposures) = (camera, exposures)
  }

  /// On a thread of its own.
  /// - Returns: when each operation was done, as far as it came.
  func run(_ isCancelled: () -> Bool) -> (times: [Range<Int64>], failure: Failure?) {
    var times: [Range<Int64>] = []
    var next = 0
    do {
      let files = try ReplayedFolder(trace, root: root, at: folder)
      for operation in operations where !isCancelled() {
        let begin = Int64(DriverProcess.now)
        camera.begin(operation.sequence)
        try files.perform(operation)
        times.append(begin..<max(begin, Int64(DriverProcess.now)))
        let written = files.file(of: operation).map {
          (path: $0, range: Int(operation.offset)..<Int(operation.offset) + max(1, operation.payloadCount))
        }
        camera.end(operation.sequence, written: written)
        while next < exposures.count, exposures[next].exposure.sequence <= operation.sequence {
          camera.take(exposures[next].exposure, exposures[next].film)
          next += 1
        }
      }
      return (times, nil)
    } catch let error as ReplayRefusal {
      return (times, .refused(error))
    } catch let error as LoopDiskError {
      return (times, .disk(error))
    } catch {
      return (times, .disk(.refused("replaying", folder, errno: EINVAL)))
    }
  }
}
