import Glibc
import Reporting

/// Where a command's results go, looked at before its work: what cannot be written costs the result of minutes
/// otherwise. The
/// same mistake has the same exit code in every command.
enum OutputPaths {
  /// Ends the program where two reports get in each other's way, or one cannot be written.
  /// - Parameter requests: as the user wrote them, each with its path; nil for standard output.
  static func check(_ requests: [(text: String, path: String?)]) {
    let shown = requests.filter { $0.path == nil }.map { "--report \($0.text)" }
    if shown.count > 1 {
      fail(
        "\(shown.joined(separator: " and ")) both go to standard output; give all but one a path, as in json=PATH",
        ExitStatus.usage)
    }
    var seen: [(file: String, text: String)] = []
    for request in requests {
      guard let path = request.path else { continue }
      let file = absolute(path)
      if let first = seen.first(where: { $0.file == file }) {
        fail(
          "--report \(first.text) and --report \(request.text) are the same file, and one would replace the other",
          ExitStatus.usage)
      }
      if isRegularOrNew(path) { seen.append((file, request.text)) }
      check("--report \(request.text)", path)
    }
  }

  /// Ends the program where the path cannot be written.
  /// - Parameter what: names the option.
  static func check(_ what: String, _ path: String) {
    do throws(ReportError) { try ReportPath.check(path) } catch {
      fail("\(what): \(error)", error.isEnvironment ? ExitStatus.unavailable : ExitStatus.usage)
    }
  }

  /// Several reports may go to one pipe or device.
  private static func isRegularOrNew(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
  }

  /// Without links and `..`; the file itself need not be there.
  private static func absolute(_ path: String) -> String {
    let (folder, name) =
      path.lastIndex(of: "/").map { (String(path[...$0]), String(path[path.index(after: $0)...])) } ?? (".", path)
    guard let real = realpath(folder, nil) else { return path }
    defer { free(real) }
    return "\(String(cString: real))/\(name)"
  }
}
