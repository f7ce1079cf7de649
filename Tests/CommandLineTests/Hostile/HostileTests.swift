import Foundation
import Glibc
import Testing

extension CommandLineTests {
  /// Each command under each limit, and signals at any moment: nothing is blamed for what the machine does, and nothing
  /// is left.
  @Suite struct HostileRuns {
    /// 0: it went through. 2: trials without a verdict. 69: the machine cannot run it. Never 1, and no crash.
    private static let allowed: Set<Int32> = [0, 2, 69]

    /// A copy of the program and the scenarios that every user may read.
    private static let shelf: Result<Scratch, any Error> = Result {
      let scratch = try Scratch()
      for path in [Program.tornlog, Program.root + "/Scenarios"] {
        try FileManager.default.copyItem(
          atPath: path, toPath: scratch.path(URL(fileURLWithPath: path).lastPathComponent))
      }
      chmod(scratch.path("tornlog"), 0o755)
      return scratch
    }

    @Test(arguments: Hostile.Limit.allCases, Hostile.Command.allCases)
    func aLimitIsNeverAViolation(limit: Hostile.Limit, command: Hostile.Command) async throws {
      let isOrdinary = Hostile.isRoot && !limit.bindsRoot
      let place = isOrdinary ? try Hostile.Place(copiedTo: Self.shelf.get()) : try Hostile.Place()
      // A number that nobody else has: its processes are counted.
      let user =
        isOrdinary
        ? "exec setpriv --reuid 61234 --regid 61234 --clear-groups bash -c '\(limit.rawValue); exec \"$@\"' bash" : ""
      let shell = isOrdinary ? "\(user) \"$@\"" : "\(limit.rawValue); exec \"$@\""
      let ended = try await Running(
        ["bash", "-c", shell, "bash", place.program] + command.words(place), in: place.scratch.root
      ).end(within: Hostile.isWhole ? 1800 : 120)
      #expect(Self.allowed.contains(ended.code), "\(limit.rawValue), \(command): \(ended)")
      #expect(
        !ended.out.contains("VIOLATED") && !ended.err.contains("DecodingError"),
        "\(limit.rawValue), \(command): \(ended)")
      #expect(try place.scratch.entries() == [], "\(limit.rawValue), \(command): \(ended)")
      for trial in try Hostile.report(place)?["trials"] as? [[String: Any]] ?? [] {
        guard trial["verdict"] as? String != "held", trial["asExpected"] as? Bool == false else { continue }
        let notices = trial["notices"] as? [String] ?? []
        #expect(trial["verdict"] as? String == "unknown" && notices.contains { $0.contains("ulimit") }, "\(trial)")
      }
      if Hostile.isWhole {
        print("hostile: \(limit.rawValue), \(command): exit code \(ended.code) after \(Int(ended.seconds)) s")
      }
      if ended.code != 0, ended.code != 2 {
        #expect(ended.err.contains("ulimit") || ended.err.contains("raise"), "\(ended)")
      }
    }

    private static let signals = [SIGTERM, SIGINT, SIGHUP]

    /// Moments after the program has come up, in milliseconds: drawn, and printed where one fails.
    private static func moments() -> [Int] {
      (0..<(Hostile.isWhole ? 20 : 2)).map { _ in Int.random(in: 0..<(Hostile.isWhole ? 4000 : 900)) }
    }

    @Test(arguments: Hostile.Command.allCases, signals)
    func aSignalEndsEveryCommandInOrder(command: Hostile.Command, signal: Int32) async throws {
      let moments = Self.moments()
      for moment in moments {
        let place = try Hostile.Place()
        let running = try Running([place.program] + command.longWords(place), in: place.scratch.root)
        try await Hostile.takesOver(signal, running)
        try await Task.sleep(for: .milliseconds(moment))
        let below = Hostile.descendants(of: running.process)
        running.signal(signal)
        let ended = try await running.end(within: 60)
        let what = "\(command), signal \(signal) after \(moment) ms"
        #expect(ended.code == 130, "\(what): \(ended)")
        #expect(try await Hostile.survivors(of: below) == [], "\(what)")
        #expect(try place.scratch.entries() == [], "\(what)")
        let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        #expect(!mounts.contains(place.scratch.root), "\(what)")
        let report = try Hostile.report(place)
        if command == .run {
          let summary = try #require(report?["summary"] as? [String: Any], "\(what)")
          #expect(summary["interrupted"] as? Bool == true, "\(what)")
        }
      }
      if Hostile.isWhole { print("hostile: \(command), signal \(signal): 130 at \(moments.count) moments") }
    }
  }
}
