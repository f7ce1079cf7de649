import CLoopDisks
import Glibc

/// A place for images of disks that can be copied in an instant while something writes to them.
///
/// It is an XFS on a loop device over a file in memory. What a loop device is given for a disk under test is written to
/// that disk's image by ordinary writes; `FICLONE` holds the image's lock for writers while it makes the copy share its
/// blocks (`xfs_ilock2_io_mmap` in fs/xfs/xfs_reflink.c), so that each write of the device is in the copy whole, or not
/// at all, and with it everything that the device had completed before. Nothing is told to the file system under test:
/// no freeze, which would sync it, and nothing has to hold still.
///
/// All mounts are in a name space of the calling thread's own (`enterPrivateMounts`), and all bytes are in memory: a
/// SIGKILL leaves an empty folder behind, and nothing else. The next start removes it.
public final class ImageStore {
  /// Room for the images of some hundred copies; what is not written takes none.
  private static let capacity = 4 << 30

  /// The folder that mounts are made in.
  public let folder: String
  private let memory: Int32
  private let scratch: MountedScratch
  private var store: LoopMount?
  private var made = 0

  /// From now on what the calling thread mounts is seen by itself only, and by threads that it makes.
  /// - Throws: `LoopDiskError.notPermitted` for whoever is not root.
  public static func enterPrivateMounts() throws(LoopDiskError) {
    let code = tl_private_mounts()
    if code == -EPERM { throw .notPermitted }
    guard code == 0 else { throw .refused("unshare", "mounts", errno: -code) }
  }

  /// Call `enterPrivateMounts` before.
  /// - Parameter parent: an existing directory.
  public init(in parent: String) throws(LoopDiskError) {
    scratch = try MountedScratch(in: parent)
    folder = scratch.path
    memory = tl_memory_file("tornlog-images")
    guard memory >= 0 else { throw .refused("memfd_create", "", errno: -memory) }
    guard ftruncate(memory, off_t(Self.capacity)) == 0 else { throw .refused("ftruncate", "memory", errno: errno) }
    store = try LoopMount(memory, "xfs", at: folder + "/store") { node throws(LoopDiskError) in
      try Tool.run("mkfs.xfs", package: "xfsprogs", ["-q", "-f", "-m", "reflink=1", node])
    }
  }

  /// An image with a new file system on it.
  /// - Parameter room: bytes that files are to have room for.
  public func format(_ fileSystem: LoopFileSystem, room: Int = 0) throws(LoopDiskError) -> ImageFile {
    let image = try empty()
    guard ftruncate(image.descriptor, off_t(fileSystem.deviceBytes + room)) == 0 else {
      throw .refused("ftruncate", image.path, errno: errno)
    }
    try Tool.run(fileSystem.tool, package: fileSystem.package, fileSystem.formatting + [image.path])
    return image
  }

  /// An image without content.
  public func empty() throws(LoopDiskError) -> ImageFile {
    made += 1
    return try ImageFile("\(folder)/store/\(made)")
  }

  /// What `image` holds at this instant.
  public func copy(_ image: ImageFile) throws(LoopDiskError) -> ImageFile {
    let copy = try empty()
    try copy.take(image)
    return copy
  }

  /// A folder for a mount, by its name.
  public func place(_ name: String) -> String { "\(folder)/\(name)" }

  deinit {
    store = nil
    close(memory)
  }
}

/// An image in an `ImageStore`; removed with its owner.
public final class ImageFile: Sendable {
  public let path: String
  public let descriptor: Int32

  init(_ path: String) throws(LoopDiskError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .refused("open", path, errno: errno) }
  }

  /// Becomes what `other` is at this instant. From any thread.
  public func take(_ other: ImageFile) throws(LoopDiskError) {
    let code = tl_clone(other.descriptor, descriptor)
    guard code == 0 else { throw .refused("clone", other.path, errno: -code) }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }
}

/// A folder with a tmpfs on it, in which other mounts have their places.
private final class MountedScratch {
  private static let prefix = "tornlog-real-"

  let path: String
  /// The folder below the mount, locked as long as its owner lives.
  private let lock: Int32

  init(in parent: String) throws(LoopDiskError) {
    Self.removeAbandoned(in: parent)
    (path, lock) = try Self.make(in: parent)
    // A program of another user reaches its files in it.
    guard mount("tornlog", path, "tmpfs", 0, "size=1m,mode=711") == 0 else {
      let code = errno
      rmdir(path)
      close(lock)
      if code == EPERM { throw .notPermitted }
      throw .refused("mount tmpfs at", path, errno: code)
    }
  }

  deinit {
    if umount2(path, 0) != 0 { umount2(path, Int32(MNT_DETACH)) }
    rmdir(path)
    close(lock)
  }

  private static func make(in parent: String) throws(LoopDiskError) -> (path: String, lock: Int32) {
    while true {
      var template = Array("\(parent)/\(prefix)XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else { throw .refused("mkdtemp", parent, errno: errno) }
      let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
      if let lock = lockIfFree(path) { return (path, lock) }
      // Somebody has taken it for abandoned, before it was locked.
      rmdir(path)
    }
  }

  /// Folders that a killed process has left. Mounts of others cannot be seen from here, and removing a folder would
  /// take away the mount on it (`man 7 mount_namespaces`): the lock says whether there may be one.
  private static func removeAbandoned(in parent: String) {
    guard let directory = opendir(parent) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name.hasPrefix(prefix), name.count == prefix.count + 6, let lock = lockIfFree("\(parent)/\(name)") else {
        continue
      }
      // Only if it is empty.
      rmdir("\(parent)/\(name)")
      close(lock)
    }
  }

  /// - Returns: the locked folder; nil where somebody else has locked it, or it is gone.
  private static func lockIfFree(_ path: String) -> Int32? {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0, status.st_nlink > 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }
}
