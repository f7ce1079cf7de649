import Glibc
import Reporting
import Trials

/// The standard streams, for text that no recorder writes.
enum Console {
  /// A stream that the caller closed would lend its number to the next file that is opened, which would then be written
  /// over: such a number is taken before anything else is opened. What is written there fails as on a closed stream.
  static func occupyClosedStreams() {
    for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
      _ = Glibc.open("/dev/null", descriptor == STDIN_FILENO ? O_RDWR : O_RDONLY)
    }
  }

  /// Results, in order with what the recorders write. A reader that has gone (`| head -1`) ends the command in order.
  /// - Parameter wraps: whether lines are broken at the width of the terminal.
  static func result(_ text: String, terminator: String = "\n", wraps: Bool = false) throws(ReportError) {
    do throws(ReportError) {
      try DescriptorSink.standardOutput(wraps: wraps).write(text + terminator)
    } catch {
      guard error.isBrokenPipe else { throw error }
      Interruption.request(SIGPIPE)
    }
  }

  /// Lines of a command whose result is text. Where standard output cannot be written the command ends with 69.
  static func print(_ lines: [String], terminator: String = "\n", wraps: Bool = false) {
    guard !lines.isEmpty else { return }
    do throws(ReportError) {
      try result(lines.joined(separator: "\n"), terminator: terminator, wraps: wraps)
    } catch {
      fail("\(error)", ExitStatus.unavailable)
    }
  }

  /// Progress and complaints. Where standard error is closed there is nobody to complain to.
  static func complain(_ text: String) { say("tornlog: \(text)") }

  /// A line on standard error as it is.
  static func say(_ text: String) {
    do throws(ReportError) { try DescriptorSink.standardError(wraps: true).write(text + "\n") } catch { return }
  }
}

/// Hands the events of a run to its recorders. One that can no longer write does not keep the others from their
/// reports.
final class Recorders {
  private var recorders: [any RunRecorder]

  init(_ recorders: [any RunRecorder]) { self.recorders = recorders }

  /// - Throws: the first recorder's error. A reader that has gone away is none: it ends the run in order.
  func record(_ event: RunEvent) throws {
    var failure: (any Error)?
    var working: [any RunRecorder] = []
    for recorder in recorders {
      do {
        try recorder.record(event)
        working.append(recorder)
      } catch let error as ReportError {
        if error.isStandardError { continue }
        if error.isBrokenPipe { Interruption.request(SIGPIPE) } else { failure = failure ?? error }
      }
    }
    recorders = working
    if let failure { throw failure }
  }
}
