import Foundation
import Glibc
import LogModel
import Reporting

/// The trials of this checkout that did not come out as expected, for `--last-failed`: one token a line, below the
/// checkout's path. A run changes only what it says of its own trials, so that runs of different selections, or at the
/// same time, forget nothing of each other.
final class FailureMemory {
  /// The folder that holds the repository, or the current one.
  private let checkout: String
  private let path: String
  private var failed: [String] = []
  private var passed: Set<String> = []

  init() {
    checkout = CheckoutCache.checkout
    path = CheckoutCache.path("failed/\(CheckoutCache.name)")
  }

  var tokens: Set<String> {
    do { return Set(try read()) } catch {
      fail("\(path) cannot be read: \(error.localizedDescription)", ExitStatus.unavailable)
    }
  }

  /// - Parameter token: of the trial as it was planned.
  func take(_ token: String, _ result: TrialResult) {
    if result.isExpected { passed.insert(token) } else { failed.append(token) }
  }

  /// Under a lock: two runs that end at the same time both have their say.
  func save() throws {
    let wasThere = FileManager.default.fileExists(atPath: path)
    if failed.isEmpty, !wasThere { return }
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    let lock = open(path + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else { throw ReportError.cannotWrite(path: path, errno: errno) }
    defer { close(lock) }
    let own = Set(failed)
    let tokens = try read().filter { !own.contains($0) && !passed.contains($0) } + failed.uniqued()
    try ([checkout] + tokens).joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// Nothing where the file is another checkout's.
  private func read() throws -> [String] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
    return lines.first == checkout ? Array(lines.dropFirst()) : []
  }
}

extension [String] {
  /// Each once, in the order of their first places.
  fileprivate func uniqued() -> [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}
