import ArgumentParser
import Foundation
import ProgramOracle
import ProgramTesting
import Trials
import Verification

/// `reproduce` for tokens of crash states of programs.
enum ReproduceProgram {
  /// Runs the program again, builds the state, and says what is served of it.
  /// - Parameter export: a folder for the state's files; nil where nobody wants them.
  static func run(_ word: String, export: String?, dir: String) throws -> Never {
    let token: ProgramToken
    var spec: ProgramSpec
    do throws(ProgramToken.Failure) {
      token = try ProgramToken(word)
      spec = try token.spec()
    } catch { fail("\(error)", ExitStatus.usage) }
    spec.directory = dir
    if let export, FileManager.default.fileExists(atPath: export) {
      fail("--export \(export): it is there already; name a folder that is not", ExitStatus.usage)
    }
    var options = ProgramTestOptions()
    options.isCancelled = { Interruption.isRequested }
    let outcome: ProgramReplay.Outcome
    do throws(ProgramTestError) { outcome = try ProgramReplay(token, spec, options).run(export: export) } catch {
      throw error.asExit
    }
    switch outcome {
    case .differs(let reason):
      Console.print(["unknown: \(reason)"])
      throw ExitCode(ExitStatus.unknown)
    case .judged(let checks, let story, let log, let isAnother):
      let broken = checks.filter { $0.verdict == .violated }
      var lines = broken.map { "violated: \($0.check.rawValue): \($0.detail)" }
      if broken.isEmpty {
        lines.append(checks.isEmpty ? "held: every promise is kept" : "unknown: \(checks[0].detail)")
      }
      if isAnother {
        lines.append("(the program did other things to its files than before: this is a state of what it did now)")
      }
      lines += story.map { "  \($0)" } + log.map { "  driver: \($0)" }
      if let export { lines.append("the files as the crash left them: \(export)") }
      Console.print(lines)
      throw ExitCode(broken.isEmpty ? (checks.isEmpty ? 0 : ExitStatus.unknown) : ExitStatus.violated)
    }
  }
}
