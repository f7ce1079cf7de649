import Foundation
import Glibc
import Testing

@testable import ScenarioFormat

@Suite struct FileTests {
  /// A folder of its own for one test, under the build's temporary place.
  func withFolder(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/tornlog-scenarios-XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template))
    let folder = String(cString: made)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
    try body(folder)
  }

  func write(_ bytes: [UInt8], _ path: String) throws {
    let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(fd >= 0)
    defer { close(fd) }
    #expect(Glibc.write(fd, bytes, bytes.count) == bytes.count)
  }

  func scenario(_ name: String) -> [UInt8] { Array("name: \(name)\ntitle: t\nmatrix: { messages: 10 }".utf8) }

  func errors(_ paths: [String]) -> [String] {
    do {
      _ = try ScenarioFiles.load(paths, vocabulary: vocabulary)
      return []
    } catch { return error.errors.map(\.description) }
  }

  @Test func foldersAreReadByNameAndToTheBottom() throws {
    try withFolder { folder in
      mkdir(folder + "/b", 0o700)
      try write(scenario("two"), folder + "/b/2.yml")
      try write(scenario("one"), folder + "/a.yaml")
      try write(scenario("three"), folder + "/c.yaml")
      try write(Array("not a scenario".utf8), folder + "/README.md")
      try write(Array("x".utf8), folder + "/.hidden.yaml")
      #expect(try ScenarioFiles.load([folder + "/"], vocabulary: vocabulary).map(\.name) == ["one", "two", "three"])
      #expect(try ScenarioFiles.load([folder, folder + "/a.yaml"], vocabulary: vocabulary).count == 3)
    }
  }

  @Test func whatCannotBeReadIsReportedTogether() throws {
    try withFolder { folder in
      mkdir(folder + "/empty", 0o700)
      try write(Array(repeating: UInt8(ascii: "#"), count: ScenarioFiles.sizeLimit + 1), folder + "/big.yaml")
      try write([0x6E, 0xFF, 0xFE], folder + "/bytes.yaml")
      try write(scenario("one") + Array("\nsed: 1".utf8), folder + "/wrong.yaml")
      let names = ["absent.yaml", "big.yaml", "bytes.yaml", "empty", "wrong.yaml"]
      #expect(
        errors(names.map { folder + "/" + $0 } + [""]) == [
          ": cannot be read: No such file or directory",
          "\(folder)/absent.yaml: cannot be read: No such file or directory",
          "\(folder)/big.yaml: 1048577 bytes; a scenario file has at most 1048576",
          "\(folder)/bytes.yaml: not UTF-8",
          "\(folder)/empty: no .yaml or .yml file in this folder",
          "\(folder)/wrong.yaml:4:1: unknown key 'sed' in the scenario; did you mean 'seed'?",
        ])
    }
  }

  @Test func twoScenariosOfOneNameAreAnError() throws {
    try withFolder { folder in
      try write(scenario("one"), folder + "/a.yaml")
      try write(scenario("one"), folder + "/b.yaml")
      #expect(errors([folder]) == ["\(folder)/b.yaml:1:1: scenario 'one' is defined in \(folder)/a.yaml already"])
    }
  }
}
