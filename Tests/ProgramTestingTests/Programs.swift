import CrashStates
import Drivers
import Foundation
import Glibc
import ProgramOracle
import ProgramTesting
import Testing
import Volume

/// Programs for the tests, and a folder that goes with each test.
enum Programs {
  static let repository: String = {
    var path = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { path.deleteLastPathComponent() }
    return path.path
  }()

  /// Why no volume can be mounted here, or nil.
  static let refusal: String? = {
    do {
      let scratch = Scratch()
      try VolumeMount(Volume(), at: scratch.path + "/probe").unmount()
      return nil
    } catch { return "\(error)" }
  }()

  static func misbehaving(_ how: String, memory: String? = nil) -> ProgramSpec {
    let script = repository + "/Tests/ProgramTestingTests/misbehaving.py"
    var spec = ProgramSpec(DriverCommand(["python3", script, how] + (memory.map { [$0] } ?? [])))
    spec.requests = 10
    return spec
  }

  static func buggyLog(_ bug: Int) -> ProgramSpec {
    var spec = ProgramSpec(
      DriverCommand(["python3", repository + "/Examples/buggy-log/driver.py", "--bug", "\(bug)"]))
    spec.requests = 40
    return spec
  }

  /// A search that is short, and long enough for what it is to find.
  static func options(_ profiles: [CrashProfile] = [.ext4Ordered, .posixMinimal], seconds: UInt64 = 20)
    -> ProgramTestOptions
  {
    var options = ProgramTestOptions()
    (options.profiles, options.budget) = (profiles, seconds * 1_000_000_000)
    (options.kills, options.faults, options.secondLives) = (1, 2, 2)
    return options
  }

  static func test(_ spec: ProgramSpec, _ options: ProgramTestOptions = options()) throws -> ProgramReport {
    let scratch = Scratch()
    var spec = spec
    spec.directory = scratch.path
    let report = try ProgramTest(spec, options, note: { _ in }).run()
    #expect(mounts(below: scratch.path).isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    return report
  }

  static func mounts(below folder: String) -> [Substring] {
    let table = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
    return table.split(separator: "\n").filter { $0.contains(folder) }
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
