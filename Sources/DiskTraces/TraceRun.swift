import CLoopDisks
import CrashStates
import Glibc
import LogModel
import LoopDisks

/// Why a trace could not be run on a file system.
package enum TraceRunError: Error, CustomStringConvertible {
  case disk(LoopDiskError)
  case trace(DiskTraceError)
  /// A step of a trace was refused by the kernel.
  case refused(trace: String, step: String, errno: Int32)

  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .trace(let error): "\(error)"
    case .refused(let trace, let step, let code): "\(trace): `\(step)`: \(String(cString: strerror(code)))"
    }
  }
}

/// One trace on one file system, once.
struct TraceRun {
  /// A copy of the disk, and how many steps had completed.
  struct Snapshot {
    var step: Int
    var image: ImageFile
  }

  let trace: DiskTrace
  let fileSystem: LoopFileSystem
  let store: ImageStore

  /// The folder of the trace's files.
  private static let folder = "data"

  /// Runs the trace on a copy of a new file system, with some of what the kernel may do by itself, and copies the disk
  /// after every step.
  func snapshots(
    on blank: ImageFile, _ provocations: [(after: Int, what: DiskTrace.Provocation)]
  ) throws(TraceRunError) -> [Snapshot] {
    let (image, mount) = try onDisk { () throws(LoopDiskError) in
      let image = try store.copy(blank)
      return (image, try LoopMount(image, fileSystem, at: store.place("work")))
    }
    var files = TracedFiles(root: "\(mount.path)/\(Self.folder)")
    let found = perform(&files, image, mount, provocations)
    files.closeAll()
    try onDisk { () throws(LoopDiskError) in try mount.unmount() }
    return try found.get()
  }

  private func perform(
    _ files: inout TracedFiles, _ image: ImageFile, _ mount: LoopMount,
    _ provocations: [(after: Int, what: DiskTrace.Provocation)]
  ) -> Result<[Snapshot], TraceRunError> {
    var snapshots: [Snapshot] = []
    var commits = 0
    func take(_ step: Int) throws(TraceRunError) {
      let copy = try onDisk { () throws(LoopDiskError) in try store.copy(image) }
      snapshots.append(Snapshot(step: step, image: copy))
    }
    func provoke(_ step: Int) throws(TraceRunError) {
      for item in provocations where item.after == step {
        switch item.what {
        case .writeBack(let path, let offset, let length): files.writeBack(path, offset..<offset + length)
        case .commit:
          commits += 1
          WriteBack.commitMetadata(mount.path, fileSystem, name: "commit-\(commits)")
        }
        try take(step)
      }
    }
    do throws(TraceRunError) {
      mkdir(files.root, 0o755)
      for step in trace.setup { try run(step, &files) }
      WriteBack.commit(mount.path)
      // So long that the clock ticks: a write sets other times then.
      usleep(50_000)
      try take(0)
      try provoke(0)
      for (number, step) in trace.steps.enumerated() {
        try run(step, &files)
        try take(number + 1)
        try provoke(number + 1)
      }
      return .success(snapshots)
    } catch { return .failure(error) }
  }

  private func run(_ step: TraceOperation, _ files: inout TracedFiles) throws(TraceRunError) {
    let code = files.run(step)
    guard code == 0 else { throw .refused(trace: trace.name, step: "\(step)", errno: -code) }
  }

  /// What a machine finds that starts on a copy; nil where it cannot be read.
  func look(at snapshot: Snapshot) throws(TraceRunError) -> Result<MountedImage, MountedImage.Unreadable> {
    try onDisk { () throws(LoopDiskError) in
      let mount = try LoopMount(snapshot.image, fileSystem, at: store.place("look"))
      let found = Result { () throws(MountedImage.Unreadable) in
        try MountedImage(reading: "\(mount.path)/\(Self.folder)")
      }
      try mount.unmount()
      return found
    }
  }
}

/// An error of a disk is one of the run.
func onDisk<Value>(_ body: () throws(LoopDiskError) -> Value) throws(TraceRunError) -> Value {
  do throws(LoopDiskError) { return try body() } catch { throw .disk(error) }
}

/// The open files of a trace.
struct TracedFiles {
  let root: String
  private var open: [String: Int32] = [:]
  /// Of files whose path stands for another one by now.
  private var others: [Int32] = []

  init(root: String) { self.root = root }

  private func place(_ path: String) -> String { path.isEmpty || path == "." ? root : "\(root)/\(path)" }

  /// The descriptor that a path was opened with first; or of a directory.
  private mutating func file(_ path: String, durable: Bool = false) -> Int32 {
    let key = durable ? "durable \(path)" : path
    if let known = open[key] { return known }
    var flags = O_RDWR | O_CREAT | O_CLOEXEC
    if durable { flags |= O_DSYNC }
    let file = Glibc.open(place(path), flags, 0o644)
    if file >= 0 { open[key] = file }
    return file
  }

  mutating func closeAll() {
    for file in open.values + others { close(file) }
    (open, others) = ([:], [])
  }

  mutating func writeBack(_ path: String, _ range: Range<Int>) { WriteBack.write(file(path), range) }

  private mutating func move(_ path: String, to newPath: String) {
    // Handles follow the inode.
    for prefix in ["", "durable "] {
      (open[prefix + newPath], open[prefix + path]) = (open[prefix + path], open[prefix + newPath])
    }
  }

  /// - Returns: 0, or the negative errno.
  mutating func run(_ step: TraceOperation) -> Int32 {
    func checked(_ result: Int32) -> Int32 { result == 0 ? 0 : -errno }
    switch step {
    case .create(let path):
      if let other = open.removeValue(forKey: path) { others.append(other) }
      return file(path) < 0 ? -errno : 0
    case .makeDirectory(let path): return checked(mkdir(place(path), 0o755))
    case .removeDirectory(let path): return checked(rmdir(place(path)))
    case .unlink(let path): return checked(Glibc.unlink(place(path)))
    case .link(let path, let newPath): return checked(Glibc.link(place(path), place(newPath)))
    case .symbolicLink(let target, let path): return checked(symlink(target, place(path)))
    case .rename(let path, let newPath):
      let code = checked(Glibc.rename(place(path), place(newPath)))
      if code == 0 { move(path, to: newPath) }
      return code
    case .exchange(let path, let other):
      let code = tl_exchange(place(path), place(other))
      if code == 0 { move(path, to: other) }
      return code
    case .write(let path, let offset, let length, let letter, let durable):
      let bytes = [UInt8](repeating: letter, count: length)
      let target = file(path, durable: durable)
      return pwrite(target, bytes, length, off_t(offset)) == length ? 0 : -errno
    case .truncate(let path, let size): return checked(ftruncate(file(path), off_t(size)))
    case .allocate(let path, let offset, let length, let keepsSize):
      return tl_allocate(file(path), keepsSize ? TL_KEEP_SIZE : 0, offset, length)
    case .punch(let path, let offset, let length):
      return tl_allocate(file(path), TL_PUNCH_HOLE | TL_KEEP_SIZE, offset, length)
    case .zero(let path, let offset, let length): return tl_allocate(file(path), TL_ZERO_RANGE, offset, length)
    case .sync(let path, let isFull): return checked(isFull ? fsync(file(path)) : fdatasync(file(path)))
    case .syncDirectory(let path):
      let directory = Glibc.open(place(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if directory < 0 { return -errno }
      defer { close(directory) }
      return checked(fsync(directory))
    case .changeMode(let path, let mode): return checked(chmod(place(path), mode_t(mode)))
    case .changeTimes(let path):
      let times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
      return checked(utimensat(AT_FDCWD, place(path), times, 0))
    case .setAttribute(let path, let name, let value): return tl_put_attribute(place(path), name, value)
    case .syncFileSystem:
      WriteBack.commit(root)
      return 0
    }
  }
}
