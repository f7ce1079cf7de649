import ArgumentParser
import Exploration
import Foundation
import LogModel
import Reporting

/// The end of a command whose engine keeps the processor to itself: nothing gives a thread back that loops for ever, so
/// the finding is written and the process ends, with the exit code of any other violation.
enum HangExit {
  static func validate(_ timeout: Duration) throws {
    guard timeout >= .milliseconds(100) else {
      throw ValidationError("--timeout \(DurationText.render(timeout)): 100ms or more, like 60s")
    }
  }

  /// - Parameter write: writes the reports of the command.
  static func watch(_ timeout: Duration, write: @escaping @Sendable (ReportDocument) -> Void) -> HangWatch {
    HangWatch(limit: timeout) { hang in
      write(ReportDocument(hang))
      exit(ExitStatus.violated)
    }
  }

  /// For commands that show what they find on the terminal only.
  static func watch(_ timeout: Duration = HangWatch.defaultLimit) -> HangWatch {
    watch(timeout) { Console.print($0.text) }
  }
}
