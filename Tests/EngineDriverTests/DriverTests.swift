import Defects
import Drivers
import EngineDriver
import LogModel
import ProgramTesting
import Storage
import Testing

/// The driver itself, on a plain folder.
@Suite(.serialized) struct DriverTests {
  @Test(arguments: [[], ["--sync", "never"], ["--sync", "interval(4ms)", "--segment", "64KiB"]])
  func itKeepsToTheProtocol(_ options: [String]) throws {
    let check = try DriverCheck(
      EnginePrograms.command(options), config: "{}", limit: 10_000_000_000, directory: "/tmp")
    check.run()
    #expect(check.isConformant, "\(check.steps)")
  }

  private func session(_ options: [String] = []) throws -> DriverSession {
    try DriverSession(EnginePrograms.command(options), limit: 10_000_000_000)
  }

  /// What was written in one folder is not seen in another, and is there when the first is opened again.
  @Test func nothingStaysBetweenTwoFolders() throws {
    let (one, other) = (Scratch(), Scratch())
    let session = try session()
    func open(_ folder: Scratch, create: Bool) {
      guard case .done = session.ask(.open(folder: folder.path, create: create, config: "{}")) else {
        Issue.record("it does not open")
        return
      }
    }
    func values() -> [String] {
      guard case .done(let reply) = session.ask(.scan(log: "a")) else { return ["no answer"] }
      return (reply.items ?? []).map(\.value)
    }
    open(one, create: true)
    _ = session.ask(.append(log: "a", value: "first"))
    _ = session.ask(.close)
    open(other, create: true)
    #expect(values() == [])
    _ = session.ask(.close)
    open(one, create: false)
    #expect(values() == ["first"])
    guard case .done(let reply) = session.ask(.append(log: "a", value: "second")) else {
      Issue.record("no answer")
      return
    }
    #expect(reply.position == 1)
  }

  /// What is wrong with a request is the driver's failure, and says what is right.
  @Test(arguments: [
    ("{\"snyc\": \"never\"}", "sync"), ("{\"sync\": \"often\"}", "interval(100ms)"),
    ("{\"segment\": 100}", "16384"), ("{\"storage\": \"memory\"}", "posix"), ("{\"defect\": \"C99\"}", "C99"),
    ("{\"defect\": \"H9\"}", "topics"), ("{\"recovery\": \"hope\"}", "skip-corrupted"),
  ]) func aConfigThatIsNoneIsRefused(_ config: String, _ words: String) throws {
    let folder = Scratch()
    guard
      case .failed(.driver, let error) = try session().ask(.open(folder: folder.path, create: true, config: config))
    else {
      Issue.record("it is taken")
      return
    }
    #expect(error.contains(words), "\(error)")
  }

  @Test func aConfigIsTaken() throws {
    let settings = EngineSettings()
    var changed = settings
    try changed.take(["sync": "interval(4ms)", "segment": 65536, "storage": "ring", "defect": "C4+P9"])
    #expect(changed.syncPolicy == .interval(.milliseconds(4)) && changed.segmentBytes == 65536)
    #expect(changed.storage == .ring && changed.defect?.id == "C4+P9")
    #expect(settings.syncPolicy == .always && settings.defect == nil)
  }

  @Test func requestsOutOfTurnAreRefused() throws {
    let folder = Scratch()
    let session = try session()
    guard case .failed(.driver, _) = session.ask(.scan(log: "a")),
      case .done = session.ask(.open(folder: folder.path, create: true, config: "{}")),
      case .failed(.driver, _) = session.ask(.open(folder: folder.path, create: false, config: "{}")),
      case .failed(.driver, _) = session.ask(.take(log: "a")), case .done = session.ask(.close)
    else {
      Issue.record("one is not answered as it should be")
      return
    }
  }
}
