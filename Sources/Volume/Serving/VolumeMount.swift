import CFuse
import Glibc

/// A volume at a folder. It ends by `unmount`, by the end of this object, or by the end of the process, however that
/// ends: a watchdog process, which holds nothing but a pipe, unmounts what is left and removes the folder where this
/// made it.
package final class VolumeMount: @unchecked Sendable {
  package let volume: Volume
  /// The mount point, without symbolic links.
  package let folder: String
  /// The watchdog's process.
  package let watchdog: pid_t

  /// Whether the connection is cut at the end even where nobody has anything open: a namespace of another process may
  /// still hold a copy of the mount, and keep it going (`man 7 mount_namespaces`).
  private let cutsConnection: Bool
  private let serving: ServingThreads
  private let madeFolder: Bool
  private let watchdogPipe: Int32
  private let lock = VolumeLock()
  private var isMounted = true

  /// Serves `volume` at `folder` from now on, to this process and others. One volume is served at one place.
  /// - Parameters:
  ///   - folder: an empty folder, or one that does not exist: then it is made, and removed at the end.
  ///   - companion: names a file of the caller's, by the folder's path. The watchdog removes it where the process has
  ///     no time to.
  package init(
    _ volume: Volume, at folder: String, cutsConnection: Bool = false, companion: ((String) -> String)? = nil
  ) throws(VolumeMountError) {
    self.volume = volume
    self.cutsConnection = cutsConnection
    let made = try Self.prepare(folder)
    madeFolder = made
    do throws(VolumeMountError) {
      self.folder = try Self.resolve(folder)
      // Before the mount: a kill between the two leaves nothing.
      var process: pid_t = 0
      var pipe: Int32 = -1
      let code = tl_watchdog_start(
        self.folder, made ? 1 : 0, companion?(self.folder) ?? "", &process, &pipe)
      guard code == 0 else { throw .failed("starting the watchdog (/bin/sh)", code) }
      (watchdog, watchdogPipe) = (process, pipe)
      do throws(VolumeMountError) {
        serving = try ServingThreads(volume, at: self.folder)
      } catch {
        tl_watchdog_end(process, pipe)
        throw error
      }
    } catch {
      if made { rmdir(folder) }
      throw error
    }
  }

  deinit { unmount() }

  /// Requests of the kernel so far, by their opcodes (`linux/fuse.h`). Empty once it is unmounted.
  package var requests: [Int] { serving.requests }

  /// Ends the mount: plainly, or, where somebody still holds something open in it, by cutting them off (their calls
  /// end with ENOTCONN from then on). Then nothing of it is left: no mount, no folder of ours, no thread, no process.
  /// The volume and its trace stay. Not from a decider.
  package func unmount() {
    lock.holding {
      guard isMounted else { return }
      isMounted = false
      volume.endDelays()
      let code = tl_unmount(folder, cutsConnection ? 1 : 0)
      if code == EPERM {
        endByHelper()
      } else if code == EBUSY {
        // For FUSE, MNT_FORCE cuts the connection (`fuse_umount_begin`) and may still find the mount busy.
        _ = tl_unmount(folder, 1)
        _ = tl_unmount(folder, 2)
      }
      serving.end()
      tl_watchdog_end(watchdog, watchdogPipe)
      if madeFolder { rmdir(folder) }
    }
  }

  /// Without root: what fusermount3 mounted it unmounts, and the connection is cut by its file in sysfs, which is its
  /// user's (Linux, `Documentation/filesystems/fuse.rst`, "Control filesystem").
  private func endByHelper() {
    var status = stat()
    let isKnown = stat(folder, &status) == 0
    if tl_unmount_by_helper(folder, 0) == 0 { return }
    if isKnown {
      // The connection's number is the minor number of the device (`man 3 minor`).
      let device = UInt64(status.st_dev)
      let number = device & 0xFF | (device >> 12) & 0xFFF_FF00
      let file = open("/sys/fs/fuse/connections/\(number)/abort", O_WRONLY | O_CLOEXEC)
      if file >= 0 {
        write(file, "1", 1)
        close(file)
      }
    }
    _ = tl_unmount_by_helper(folder, 1)
  }

  /// - Returns: whether the folder was made.
  private static func prepare(_ folder: String) throws(VolumeMountError) -> Bool {
    if mkdir(folder, 0o755) == 0 { return true }
    guard errno == EEXIST else { throw .folder(folder, errno) }
    if isMountPoint(folder) { throw .busy(folder) }
    guard let listing = opendir(folder) else { throw .folder(folder, errno) }
    defer { closedir(listing) }
    var names = 0
    while readdir(listing) != nil { names += 1 }
    if names > 2 { throw .folder(folder, ENOTEMPTY) }
    return false
  }

  /// The folder's path without symbolic links; nothing is mounted there.
  private static func resolve(_ folder: String) throws(VolumeMountError) -> String {
    guard let resolved = realpath(folder, nil) else { throw .folder(folder, errno) }
    defer { free(resolved) }
    let path = String(cString: resolved)
    if isMountPoint(path) { throw .busy(path) }
    return path
  }

  /// Whether something is mounted at exactly this folder (`man 5 proc`, /proc/self/mountinfo).
  static func isMountPoint(_ folder: String) -> Bool {
    guard let file = fopen("/proc/self/mountinfo", "re") else { return false }
    defer { fclose(file) }
    // Spaces and the like are written as octal numbers there.
    var wanted = ""
    for byte in folder.utf8 {
      let isPlain = byte > 0x20 && byte != 0x5C && byte < 0x7F
      let octal = String(byte, radix: 8)
      wanted += isPlain ? String(UnicodeScalar(byte)) : "\\" + String(repeating: "0", count: 3 - octal.count) + octal
    }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0 {
      let fields = String(cString: line!).split(separator: " ", maxSplits: 5)
      if fields.count > 4, fields[4] == wanted { return true }
    }
    return false
  }
}
