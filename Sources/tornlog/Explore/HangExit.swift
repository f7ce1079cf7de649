import ArgumentParser
import Exploration
import Foundation
import LogModel

/// The end of a command whose engine keeps the processor to itself: nothing gives a thread back that loops for ever, so the
/// finding is written and the process ends, with the exit code of any other violation.
enum HangExit {
  static func validate(_ timeout: String) throws {
    guard let limit = DurationText.parse(timeout), limit >= .milliseconds(100) else {
      throw ValidationError("--timeout \(timeout): a duration of 100ms or more, like 60s")
    }
  }

  /// - Parameter report: where reports go, as `explore --report` has it.
  static func watch(_ timeout: String, report: [String]) -> HangWatch {
    HangWatch(limit: DurationText.parse(timeout) ?? HangWatch.defaultLimit) { hang in
      let json: String
      do { json = try hang.json() } catch { fail("the report cannot be written as JSON: \(error)", ExitStatus.internalError) }
      ExploreCommand.write(hang.text, json: json, to: report)
      exit(ExitStatus.violated)
    }
  }
}
