import CrashStates
import Drivers
import Foundation
import Glibc
import ProgramTesting
import Testing
import Volume

/// The engine behind its driver, as programs under test.
enum EnginePrograms {
  /// Why no volume can be mounted here, or nil.
  static let refusal: String? = {
    do {
      let scratch = Scratch()
      try VolumeMount(Volume(), at: scratch.path + "/probe").unmount()
      return nil
    } catch { return "\(error)" }
  }()

  /// The program that the package has built, beside the tests or in a folder above them.
  static let tornlog: String = {
    var starts = [URL(fileURLWithPath: CommandLine.arguments[0]), Bundle.main.bundleURL]
    if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
      starts.append(URL(fileURLWithPath: own))
    }
    for start in starts {
      var folder = start.standardizedFileURL.deletingLastPathComponent()
      while folder.path != "/" {
        let candidate = folder.appendingPathComponent("tornlog").path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
          access(candidate, X_OK) == 0
        {
          return candidate
        }
        folder.deleteLastPathComponent()
      }
    }
    preconditionFailure("tornlog is not beside the tests: \(starts.map(\.path))")
  }()

  static func command(_ options: [String] = []) -> DriverCommand {
    DriverCommand([tornlog, "driver", "engine"] + options)
  }

  static func test(_ spec: ProgramSpec, _ options: ProgramTestOptions) throws -> ProgramReport {
    let scratch = Scratch()
    var spec = spec
    spec.directory = scratch.path
    return try ProgramTest(spec, options, note: { _ in }).run()
  }
}

/// A folder that is removed with this object.
final class Scratch {
  let path: String

  init() {
    var template = Array("/tmp/tornlog-tests-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
