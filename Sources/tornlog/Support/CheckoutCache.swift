import Foundation
import LogModel
import Reporting

/// Where a command keeps what the next one may ask for: `$XDG_CACHE_HOME/tornlog`, or `~/.cache/tornlog`.
enum CheckoutCache {
  /// The nearest folder, from the current one upwards, that a repository begins in; the current one where there is
  /// none.
  static var checkout: String {
    let current = URL(fileURLWithPath: FileManager.default.currentDirectoryPath).resolvingSymlinksInPath()
    var folder = current
    while folder.path != "/" {
      if FileManager.default.fileExists(atPath: folder.appendingPathComponent(".git").path) { return folder.path }
      folder.deleteLastPathComponent()
    }
    return current.path
  }

  static func path(_ name: String) -> String {
    let environment = ProcessInfo.processInfo.environment
    // An empty variable is none (XDG Base Directory Specification).
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    return (value("XDG_CACHE_HOME") ?? (value("HOME") ?? "/tmp") + "/.cache") + "/tornlog/" + name
  }

  /// This checkout's name in the cache.
  static var name: String { String(stableHash(checkout), radix: 16) }

  /// Why a file of the cache cannot be written, and what to do.
  static func complaint(_ error: any Error) -> String {
    let reason: String
    if let error = error as? ReportError {
      reason = "\(error)"
    } else {
      let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      let code = underlying?.domain == NSPOSIXErrorDomain ? underlying.map { Int32($0.code) } : nil
      reason = "\(path("")) cannot be written\(code.map { ": " + String(cString: strerror($0)) } ?? "")"
    }
    return "\(reason); set HOME or XDG_CACHE_HOME to a folder that can be written"
  }
}
