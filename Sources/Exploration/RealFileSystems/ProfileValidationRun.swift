import CrashStates
import Glibc
import LogModel
import LoopDisks
import Storage
import Verification

/// A machine that boots once more: the boot's name differs, as after a power cut, though the kernel is the same.
private final class RebootedStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let boots: UInt32

  init(_ base: any Storage, boots: Int) {
    self.boots = UInt32(boots)
    super.init(base)
  }

  override var properties: StorageProperties {
    var properties = base.properties
    properties.bootID &+= boots
    return properties
  }
}

/// Lives of the engine on a real file system.
struct RealMachine {
  /// Of one life; a healthy one takes less than a second.
  static let limit = Duration.seconds(60)
  /// The folder of the engine's files, on each disk.
  static let folder = "data"

  let store: ImageStore
  let fileSystem: LoopFileSystem
  let storage: StorageChoice
  let subject: EngineUnderTest

  private func openFiles(_ root: String) throws(ExplorationError) -> LimitWatch {
    do throws(StorageError) { return LimitWatch(try storage.openFiles(root: root, loop: EventLoop())) } catch {
      if case .errno(let code) = error.code, Shortage.isOne(code) { throw .limitMet(Shortage.text(error)) }
      throw .recordingFailed("\(error)")
    }
  }

  private func mount(_ image: ImageFile, _ place: String) throws(LoopDiskError) -> LoopMount {
    try LoopMount(image, fileSystem, at: store.place(place))
  }

  /// A new disk with an empty folder on it that a power cut does not take: it has been unmounted since.
  func blank() throws(ExplorationError) -> ImageFile {
    try onDisk { () throws(LoopDiskError) in
      let image = try store.format(fileSystem)
      let mount = try mount(image, "blank")
      let folder = "\(mount.path)/\(Self.folder)"
      guard mkdir(folder, 0o755) == 0 else { throw .refused("mkdir", folder, errno: errno) }
      try mount.unmount()
      return image
    }
  }

  /// Runs the workload on a copy of `blank`, while copies are taken of it.
  func record(
    on blank: ImageFile, _ exposures: [SnapshotSchedule]
  ) throws(ExplorationError) -> (recording: Recording, shots: [DiskSnapshot]) {
    let (image, work) = try onDisk { () throws(LoopDiskError) in
      let image = try store.copy(blank)
      return (image, try mount(image, "work"))
    }
    let films = try onDisk { () throws(LoopDiskError) in
      var films: [(exposure: SnapshotSchedule, film: ImageFile)] = []
      for exposure in exposures { films.append((exposure, try store.empty())) }
      return films
    }
    let root = "\(work.path)/\(Self.folder)"
    let camera = SnapshotTaker(image, files: root, films)
    let recording = try live(root, camera)
    try onDisk { () throws(LoopDiskError) in
      if let failure = camera.failure { throw failure }
      try work.unmount()
    }
    return (recording, camera.shots)
  }

  private func live(_ root: String, _ camera: SnapshotTaker) throws(ExplorationError) -> Recording {
    let base = try openFiles(root)
    let recorder = CallRecorder(DiskRecorder(base, Recording(store: SectorStore(), table: PathTable())))
    recorder.disk.onEvent = { camera.tell($0) }
    let machine = subject.layer(recorder.disk)
    camera.start()
    let workload = subject.workload
    let parts = subject.parts()
    let (ending, failure) = base.loop.run(limit: Self.limit) {
      await workload.live(machine, recorder, parts) { camera.end() }
    }
    // Where the engine gave up before its end.
    camera.end()
    try base.check()
    guard ending == .finished else { throw .recordingFailed("the workload \(ending) on \(fileSystem.rawValue)") }
    if let text = failure?.text { throw .recordingFailed("on \(fileSystem.rawValue): \(text)") }
    return recorder.recording
  }

  /// What is there on a copy once its journal has been replayed, and two lives of the engine on it, with another copy
  /// and another mount between them.
  func examine(_ shot: DiskSnapshot, _ looker: RecoveredIncarnation) throws(ExplorationError) -> Examination {
    let first: LoopMount
    do throws(LoopDiskError) { first = try mount(shot.image, "first") } catch {
      // It could be mounted before the workload.
      if error.isOfMount, !error.isShortage { return .unreadable("\(error)") }
      throw .disk(error)
    }
    let root = "\(first.path)/\(Self.folder)"
    let found: MountedImage
    do throws(MountedImage.Unreadable) { found = try MountedImage(reading: root) } catch {
      try onDisk { () throws(LoopDiskError) in try first.unmount() }
      if let remedy = Shortage.remedy(error.errno) { throw .limitMet("\(error) (\(remedy))") }
      return .unreadable("\(error)")
    }
    looker.keepTranscript()
    let next = try onDisk { () throws(LoopDiskError) in try store.empty() }
    let second = SecondDisk(shot.image, next)
    let opened = try live(1, root, looker) { second.take() }
    try onDisk { () throws(LoopDiskError) in
      try first.unmount()
      if let failure = second.failure { throw failure }
    }
    if opened {
      let last = try onDisk { () throws(LoopDiskError) in try mount(next, "second") }
      _ = try live(2, "\(last.path)/\(Self.folder)", looker) {}
      try onDisk { () throws(LoopDiskError) in try last.unmount() }
    }
    return .looked(found, looker.transcript)
  }

  private func live(
    _ restart: Int, _ root: String, _ looker: RecoveredIncarnation, crash: @escaping @Sendable () -> Void
  ) throws(ExplorationError) -> Bool {
    let files = try openFiles(root)
    let opened = looker.live(restart, on: RebootedStorage(files, boots: restart), limit: Self.limit, crash: crash)
    try files.check()
    return opened
  }
}

/// What became of a copy.
enum Examination {
  case looked(MountedImage, Transcript)
  /// A file or a directory gave an error, or the journal could not be replayed.
  case unreadable(String)
}

/// A copy that the engine's last act in a life triggers.
private final class SecondDisk: @unchecked Sendable {
  // Written on the loop of the life, read after it.

  private let from: ImageFile
  private let to: ImageFile
  private(set) var failure: LoopDiskError?

  init(_ from: ImageFile, _ to: ImageFile) { (self.from, self.to) = (from, to) }

  func take() {
    do throws(LoopDiskError) { try to.take(from) } catch { failure = error }
  }
}

/// An error of a disk is one of the exploration.
func onDisk<Value>(_ body: () throws(LoopDiskError) -> Value) throws(ExplorationError) -> Value {
  do throws(LoopDiskError) { return try body() } catch { throw .disk(error) }
}
