import Glibc
import Reporting
import Storage

/// The folder of one run: `tornlog-PID-XXXXXX` below the directory that the user named, removed at the end.
public final class Workspace: Sendable {
  public let path: String
  /// Held as long as this process works in it; see `Doctor.isLeftover`.
  private let lock: WorkFolder?

  /// - Throws: `TrialError.directory` where `parent` is missing, is a file, or cannot be written.
  public init(in parent: String) throws(TrialError) {
    var status = stat()
    guard stat(parent, &status) == 0 else { throw .directory(StorageError(errno: errno, .open, parent)) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw .directory(StorageError(errno: ENOTDIR, .open, parent)) }
    do throws(StorageError) { path = try WorkFolder.make(in: parent) } catch { throw .directory(error) }
    lock = WorkFolder(locking: path)
  }

  /// The folder of one trial.
  package func trialFolder(_ index: Int) -> String { "\(path)/trial-\(index)" }

  /// Makes the folder of one trial, with the folder `data` for the engine in it.
  package func makeTrialFolder(_ index: Int) throws(TrialError) {
    let folder = trialFolder(index)
    for made in [folder, folder + "/data"] where mkdir(made, 0o755) != 0 {
      throw .directory(StorageError(errno: errno, .makeDirectory, made))
    }
  }

  package static func remove(_ folder: String) throws(TrialError) {
    let code = removeTree(folder)
    guard code == 0 else { throw .system("remove", folder, code) }
  }

  /// One descriptor at a time is enough for a tree of any depth: it must go where there are hardly any left, too.
  /// - Returns: 0 or the errno.
  private static func removeTree(_ path: String) -> Int32 {
    if unlink(path) == 0 { return 0 }
    // `man 2 unlink`: EISDIR for a directory.
    guard errno == EISDIR else { return errno == ENOENT ? 0 : errno }
    guard let directory = SpareDescriptors.retry({ opendir(path) }, failed: { $0 == nil }) else { return errno }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    closedir(directory)
    for name in names {
      let code = removeTree(path + "/" + name)
      guard code == 0 else { return code }
    }
    return rmdir(path) == 0 ? 0 : errno
  }

  /// Removes the run's folder if nothing was kept in it. Otherwise it says in it that it was.
  public func removeIfEmpty() {
    if rmdir(path) != 0 { lock?.keep() }
  }

  /// Removes the run's folder with everything in it.
  public func removeAll() throws(TrialError) {
    if access(path, F_OK) == 0 { try Self.remove(path) }
  }
}
