import Foundation
import Glibc

/// Programs that make file systems.
enum Tool {
  /// Seconds that one may take.
  static let limit = 120

  /// The path of a program: administrators' folders too, which not every PATH has.
  static func find(_ name: String) -> String? {
    let own = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
    return (own + ["/usr/sbin", "/sbin", "/usr/local/sbin"]).map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  /// Runs a program to its end; one that takes too long is killed.
  static func run(_ name: String, package: String, _ arguments: [String]) throws(LoopDiskError) {
    guard let path = find(name) else { throw .missingTool(name, package: package) }
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    let child: pid_t
    do {
      try process.run()
      child = process.processIdentifier
    } catch { throw .toolFailed(name, output: "\(error)") }
    let patience = DispatchSource.makeTimerSource()
    patience.schedule(deadline: .now() + .seconds(limit))
    patience.setEventHandler { kill(child, SIGKILL) }
    patience.resume()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    patience.cancel()
    guard process.terminationStatus == 0, process.terminationReason == .exit else {
      let signal = process.terminationReason == .uncaughtSignal ? "killed by signal \(process.terminationStatus) " : ""
      throw .toolFailed(name, output: signal + text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }
}
