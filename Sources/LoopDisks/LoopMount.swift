import CLoopDisks
import Glibc

/// A file that is mounted as a disk. Unmounted with its owner, lazily if it is busy; its device detaches itself then.
public final class LoopMount {
  /// Where its files are.
  public let path: String
  private var isMounted = true

  /// Mounts `image` in the folder `path`, which is made. A journal is replayed, as after a power cut.
  /// - Throws: `LoopDiskError.refused`, where the file system is not consistent too.
  public init(_ image: ImageFile, _ fileSystem: LoopFileSystem, at path: String) throws(LoopDiskError) {
    self.path = path
    try Self.mount(image.descriptor, fileSystem.type, fileSystem.options, path)
  }

  /// - Parameter format: makes the file system on the device, whose path it is given.
  init(
    _ file: Int32, _ type: String, at path: String, format: (String) throws(LoopDiskError) -> Void
  ) throws(LoopDiskError) {
    self.path = path
    try Self.mount(file, type, "", path, format: format)
  }

  private static func mount(
    _ file: Int32, _ type: String, _ options: String, _ path: String,
    format: (String) throws(LoopDiskError) -> Void = { _ throws(LoopDiskError) in }
  ) throws(LoopDiskError) {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .refused("mkdir", path, errno: errno) }
    var name = [CChar](repeating: 0, count: 32)
    let device = tl_loop_attach(file, &name, Int32(name.count))
    guard device >= 0 else { throw .refused("attach", "/dev/loop*", errno: -device) }
    // The mount is a user of its own.
    defer { close(device) }
    let node = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    try format(node)
    guard Glibc.mount(node, path, type, UInt(MS_NOATIME), options) == 0 else {
      throw .refused("mount", "\(type) at \(path)", errno: errno)
    }
  }

  /// An io_uring lets go of its files some time after it has been closed.
  private static let patience = 500

  /// Takes it away.
  /// - Throws: `LoopDiskError.refused`, EBUSY where one of its files is still open after five seconds.
  public func unmount() throws(LoopDiskError) {
    guard isMounted else { return }
    for attempt in 0... {
      if umount2(path, 0) == 0 { break }
      guard errno == EBUSY, attempt < Self.patience else { throw .refused("unmount", path, errno: errno) }
      usleep(10_000)
    }
    isMounted = false
  }

  deinit { if isMounted { umount2(path, Int32(MNT_DETACH)) } }
}
