import ArgumentParser
import Drivers
import Foundation
import LogModel
import ProgramTesting
import Reporting
import Trials
import Verification

extension BenchCommand {
  /// Crash states of a program, in pairs with its engine alone.
  func measureProgram() throws {
    report.check()
    var spec = ProgramSpec(Drivers.DriverCommand(driver))
    spec.seed = 1
    var options = ProgramSpeedOptions()
    options.jobs = ProcessInfo.processInfo.activeProcessorCount
    options.rounds = rounds ?? (quick ? 3 : 7)
    options.isCancelled = { Interruption.isRequested }
    let progress = ProgressLine()
    let speed: ProgramSpeed
    do throws(ProgramTestError) {
      speed = try ProgramSpeedRun(spec, options, note: { progress.show($0) }).run()
      progress.clear()
    } catch {
      progress.clear()
      fail("\(error)", ExitStatus.unavailable)
    }
    report.write(try Self.document(speed))
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    if speed.rounds.isEmpty { throw ExitCode(ExitStatus.unknown) }
    if !speed.meetsTarget { throw ExitCode(ExitStatus.violated) }
  }

  private static func document(_ speed: ProgramSpeed) throws -> ReportDocument {
    func range(_ values: [Double], _ digits: Int) -> [String] {
      [ProgramSpeed.median(values), values.min() ?? 0, values.max() ?? 0].map { fixed($0, digits) }
    }
    let rounds = speed.rounds
    let table = alignedColumns(
      [
        ["", "median", "least", "most"],
        ["harness, states a second"] + range(rounds.map(\.harness), 0),
        ["engine alone, \(speed.jobs) loops"] + range(rounds.map(\.bare), 0),
        ["engine alone, 1 loop"] + range(rounds.map(\.bareOnce), 0),
        ["harness / engine, \(speed.jobs) loops"] + range(rounds.map(\.ratio), 2),
        ["harness / engine, 1 loop"] + range(rounds.map(\.ratioToOne), 2),
        ["round trips of a state"] + range(rounds.map(\.roundTrips), 0),
      ], rightAligned: [1, 2, 3])
    let parts = alignedColumns(
      [["what a state takes", "microseconds"]] + speed.parts.map { [$0.name, fixed($0.microseconds, 0)] },
      rightAligned: [1])
    let conclusion =
      "\(speed.name): \(fixed(speed.ratio, 2)) of the engine alone in \(rounds.count) rounds of \(speed.states) states"
      + " (target \(fixed(ProgramSpeed.target, 1)))"
    struct Document: Encodable {
      var version = 1
      var tool = "tornlog"
      var programSpeed: ProgramSpeed
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return ReportDocument(
      title: "tornlog bench --programs",
      text: ["\(speed.program), model \(speed.model), \(speed.jobs) jobs"]
        + (table + "\n" + parts).split(separator: "\n").map(String.init)
        + [
          "round trips: " + speed.requests.prefix(12).map { "\($0.name) \(fixed($0.each, 1))" }.joined(separator: ", ")
        ],
      conclusion: conclusion,
      json: String(decoding: try encoder.encode(Document(programSpeed: speed)), as: UTF8.self),
      cases: [
        ReportCase(
          group: "bench", name: speed.program,
          mustHold: rounds.isEmpty ? .unknown : speed.meetsTarget ? .held : .violated, message: conclusion)
      ])
  }
}
