import Glibc

/// The path of a file that is to be written at the end of some work.
public enum ReportPath {
  /// Finds out before the work what would otherwise cost its result afterwards.
  /// - Throws: `unusablePath` where the path itself is wrong, `cannotWrite` where the machine forbids it.
  public static func check(_ path: String) throws(ReportError) {
    var status = stat()
    if stat(path, &status) == 0 {
      switch status.st_mode & S_IFMT {
      case S_IFDIR: throw .unusablePath(path, errno: EISDIR)
      // A regular file is replaced as a whole, which its folder must permit.
      case S_IFREG: break
      default:
        // A device or a pipe is written to as it is.
        guard access(path, W_OK) == 0 else { throw .cannotWrite(path: path, errno: errno) }
        return
      }
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    guard access(folder, W_OK | X_OK) == 0 else {
      let code = errno
      if [ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP].contains(code) { throw .unusablePath(path, errno: code) }
      throw .cannotWrite(path: path, errno: code)
    }
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw .unusablePath(path, errno: ENOTDIR)
    }
  }
}
