import Glibc
import Synchronization

/// Programs behind the shims of pyenv, rbenv and others of that family: scripts that look for the version to run, with
/// a dozen processes, each time. That takes longer than most drivers need to start. So the answer is asked for once.
enum VersionShim {
  private static let known = Mutex<[String: String]>([:])

  /// What a shim of this name runs in the current folder.
  /// - Returns: the name itself where it is no shim, or where its manager does not know.
  static func target(of name: String) -> String {
    guard !name.isEmpty, let shim = path(of: name), let manager = manager(of: shim) else { return name }
    return known.withLock { known in
      // What it runs depends on the folder too (`.python-version` and its likes), which is the same for all drivers.
      if let found = known[shim] { return found }
      let found = ask(manager, shim) ?? name
      known[shim] = found
      return found
    }
  }

  private static func path(of name: String) -> String? {
    if name.contains("/") { return name }
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    return folders.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  /// The program that `exec "MANAGER" exec "$program" "$@"` at the end of a shim names.
  private static func manager(of shim: String) -> String? {
    guard shim.contains("/shims/"), let file = fopen(shim, "re") else { return nil }
    defer { fclose(file) }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = fread(&text, 1, text.count, file)
    let (before, after) = ("exec \"", "\" exec \"$program\" \"$@\"")
    guard count < text.count, let last = String(decoding: text[..<count], as: UTF8.self).split(separator: "\n").last,
      last.hasPrefix(before + "/"), last.hasSuffix(after)
    else { return nil }
    let manager = String(last.dropFirst(before.count).dropLast(after.count))
    return !manager.contains("/shims/") && access(manager, X_OK) == 0 ? manager : nil
  }

  private static func ask(_ manager: String, _ shim: String) -> String? {
    let name = shim.split(separator: "/").last.map(String.init) ?? shim
    guard let process = try? DriverProcess(DriverCommand([manager, "which", name])),
      case .line(let line) = process.next(until: DriverProcess.now + 10_000_000_000)
    else { return nil }
    let path = String(decoding: line, as: UTF8.self)
    return path.hasPrefix("/") && access(path, X_OK) == 0 ? path : nil
  }
}
