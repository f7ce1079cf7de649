import ArgumentParser
import Drivers
import FaultInjection
import LogModel
import ProgramTesting
import ProgramTuning
import Reporting
import ScenarioFormat
import Storage
import Trials
import Tuning

struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Choose a sync policy for your disk, your load and the loss that you can bear.",
    usage: """
      tornlog tune [options]
      tornlog tune --program SCENARIO [options]
      """,
    discussion: """
      Measures the disk, then the engine with each policy: what it carries, its latencies at your rate, and what power cuts \
      take. The answer is the setting that promises to lose least of those that carry the rate with a quarter to spare, \
      meet the p99, stay within --max-loss and keep their promise.

      A quick run takes about a minute on a fast disk. --thorough cuts the power 200 times for each setting, and 1000 times for \
      always. Power cuts are simulated on real files: what was not made durable is taken back. They do not show whether \
      your disk honours a flush; the report names signs that it may not.

      --program SCENARIO does the same for your own program: docs/programs.md says how to write the scenario, a driver and its \
      configurations. Throughput and latency come from --dir; loss from a volume in memory, whose power goes at random \
      moments of a recorded run.

        tornlog tune --program Scenarios/programs/sqlite-sync.yaml --rate 500/s --max-loss 100ms

      Exit codes: 0 a setting does it; 1 none does, or one lost what it protects; 3 no configuration is selected; 64 wrong \
      usage; 65 --compare names no report of tune, or the scenario has mistakes; 69 the folder cannot be used or has no \
      room, or no volume can be mounted; 70 internal error; 130 interrupted.
      """)

  @Option(help: ArgumentHelp("Measure the disk of this folder.", valueName: "dir"), completion: .directory)
  var dir = "."
  @Option(
    name: .customLong("max-loss"),
    help: ArgumentHelp("Allow a power cut to take this much: 50ms, '100 messages' or 0.", valueName: "loss"))
  var maxLoss: Requirements.Loss = .time(.milliseconds(50))
  @Option(help: ArgumentHelp("Acknowledge 99 of 100 messages within this time.", valueName: "duration"))
  var p99: Duration = .milliseconds(5)
  @Option(
    help: ArgumentHelp(
      "Send so many messages a second: 20k/s, 5000 (default: 20k/s; with --program 500/s).", valueName: "rate"))
  var rate: MessageRate?
  @Option(help: ArgumentHelp("Send messages of this size, 16 B to 64KiB.", valueName: "size"))
  var messageSize = ByteSize(bytes: 1000)
  @Option(parsing: .unconditional, help: ArgumentHelp("Write to n partitions (default: 3).", valueName: "n"))
  var partitions: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Send from n producers at the same time (default: 16; with --program what the scenario says).", valueName: "n"))
  var producers: Int?
  @Option(parsing: .unconditional, help: ArgumentHelp("Send n messages in each request (default: 1).", valueName: "n"))
  var batch: Int?
  @Option(help: "Measure this policy only, and no other batches and producers. Repeatable.")
  var sync: [SyncPolicy] = []
  @Flag(help: "Measure longer, and cut the power 200 times for each setting.")
  var thorough = false
  @Option(
    help: ArgumentHelp("Act as a disk whose flush takes at least this long.", valueName: "duration"))
  var flush: Duration?
  @Option(help: ArgumentHelp("Act as a disk that stalls: 200ms/1s is 200 ms in each second.", valueName: "stall"))
  var stall: FlushTiming.Stall?
  @Option(help: "Use io_uring, or plain system calls: auto, ring or posix.")
  var storage: StorageChoice = .auto
  @Option(
    help: ArgumentHelp("Show an earlier JSON report of tune beside this one.", valueName: "path"), completion: .file())
  var compare: String?
  @Option(
    help: ArgumentHelp(
      "Tune a program: over the configurations of a scenario, or of a folder of them.", valueName: "scenario"),
    completion: .file())
  var program: String?
  @OptionGroup var selection: ProgramSelection
  @OptionGroup var report: ReportOptions<PlotFormats>

  func validate() throws {
    let (rate, partitions, producers, batch) = (usualRate, partitions ?? 3, producers ?? 16, batch ?? 1)
    func require(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
      guard range.contains(value) else {
        throw ValidationError("--\(option) \(value): from \(range.lowerBound) to \(range.upperBound)")
      }
    }
    try require("partitions", partitions, 1...100)
    try require("producers", producers, 1...1000)
    try require("batch", batch, 1...1000)
    try require("message-size", messageSize.bytes, 16...65_536)
    if program != nil { return try checkProgram() }
    if selection.isGiven { throw ValidationError("-t, -k and --shard: of --program only") }
    let workload = workload
    guard workload.fits(batch: batch) else {
      throw ValidationError("--batch \(batch) of --message-size \(messageSize.bytes): a request has at most 240 kB")
    }
    let fill = workload.secondsToFill(LoadSetting(.always, batch: batch, producers: producers))
    guard fill <= 1 else {
      throw ValidationError(
        "--rate \(shortCount(rate.perSecond))/s: each of \(producers) producers would send a batch of \(batch) every "
          + "\(shortTime(Int64(min(fill, 1e6) * 1e9))); at most 1s; raise --rate, or lower --producers or --batch")
    }
    let wait = fill * Double(batch - 1) / Double(batch) * 0.99
    guard wait < p99.inSeconds else {
      throw ValidationError(
        "--p99 \(DurationText.render(p99)): at this rate a batch of \(batch) takes "
          + "\(shortTime(Int64(fill * 1e9))) to fill; allow more, or lower --batch")
    }
    for case .interval(let limit) in sync where limit > .seconds(10) {
      throw ValidationError("--sync interval(\(DurationText.render(limit))): at most 10s")
    }
    if let flush, flush > .seconds(1) { throw ValidationError("--flush \(DurationText.render(flush)): at most 1s") }
    if let stall, stall.period > .seconds(5) {
      throw ValidationError("--stall: a period of at most 5s, so that each setting meets two of them")
    }
    if storage == .memory { throw ValidationError("--storage memory: a disk is measured; use auto, ring or posix") }
  }

  /// What only the engine has.
  private func checkProgram() throws {
    let given = [
      ("--partitions", partitions != nil), ("--batch", batch != nil), ("--sync", !sync.isEmpty),
      ("--flush", flush != nil), ("--stall", stall != nil), ("--storage", storage != .auto),
    ].filter(\.1).map(\.0)
    if !given.isEmpty { throw ValidationError("\(given.joined(separator: ", ")): not with --program") }
  }

  private var usualRate: MessageRate { rate ?? MessageRate(perSecond: program == nil ? 20_000 : 500) }

  private var workload: Workload {
    Workload(
      rate: usualRate.perSecond, messageSize: messageSize.bytes, partitions: program == nil ? partitions ?? 3 : 1)
  }

  func run() throws {
    report.check()
    do {
      if let program { return try tune(program) }
      let earlier = try earlier(LoadSetting.self)
      let timing = flush != nil || stall != nil ? FlushTiming(atLeast: flush ?? .zero, stall: stall) : nil
      var tuning = Tuning(
        TuningDisk(.folder(dir, storage), timing: timing),
        Requirements(
          loss: maxLoss, p99: p99, workload: workload, producers: producers ?? 16, batch: batch ?? 1),
        thorough ? .thorough : .quick)
      if !sync.isEmpty { tuning.chosenPolicies = sync.sorted(by: Tuning.isSafer) }
      tuning.isCancelled = { Interruption.isRequested }
      tuning.onProgress = Self.show
      try finish(try tuning.run(), comparedWith: earlier)
    } catch let error as TuningError {
      fail("\(error)", error.exitCode)
    } catch let error as ProgramTestError {
      throw error.asExit
    }
  }

  private static func show(_ progress: TuningProgress) {
    note("[\(Int(progress.share * 100)) %, about \(Int(progress.secondsLeft.rounded(.up))) s left] \(progress.title)")
  }

  private func earlier<Setting>(_: Setting.Type) throws(TuningError) -> TunedResult<Setting>? {
    guard let path = compare else { return nil }
    guard let text = SmallFile.read(path) else { throw .comparison(path, "it cannot be read") }
    return try TunedResult<Setting>.read(text, from: path)
  }

  private func finish<Setting>(
    _ result: TunedResult<Setting>, comparedWith earlier: TunedResult<Setting>?
  ) throws {
    report.write(try result.document(comparedWith: earlier))
    if result.isInterrupted { throw ExitCode(ExitStatus.interrupted) }
    if result.recommendation.chosen == nil || !result.isSound { throw ExitCode(ExitStatus.violated) }
  }

  // MARK: Programs

  private func tune(_ path: String) throws {
    let earlier = try earlier(ProgramSetting.self)
    let cells = try selection.cells(of: [path], usual: "full")
    let usual = try ProgramOptions.parse([])
    let isOne = Set(cells.map(\.1.scenario)).count == 1
    var concurrency = producers ?? 1
    let candidates = cells.map { scenario, cell in
      var spec = ProgramSpec(DriverCommand(scenario.driver))
      var options = ProgramTestOptions()
      scenario.apply(cell, to: &spec, &options, isRequested: usual)
      spec.concurrency = producers ?? spec.concurrency
      concurrency = max(concurrency, spec.concurrency)
      let varied = cell.varied.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
      let setting = ProgramSetting(
        name: isOne && !varied.isEmpty ? varied : "\(cell)", config: cell.configText, promises: cell.promises,
        allows: cell.allows, source: cell.source)
      return ProgramTuning.Candidate(setting, spec)
    }
    var tuning = ProgramTuning(
      candidates, program: cells[0].0.driver.joined(separator: " "), in: dir,
      Requirements(loss: maxLoss, p99: p99, workload: workload, producers: concurrency, batch: 1),
      thorough ? .thorough : .quick)
    tuning.isCancelled = { Interruption.isRequested }
    tuning.onProgress = Self.show
    try finish(try tuning.run(), comparedWith: earlier)
  }
}

extension Requirements.Loss: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
}

/// `20k/s`, `1.5M/s`, `5000`.
struct MessageRate: ExpressibleByArgument {
  var perSecond: Double

  init(perSecond: Double) { self.perSecond = perSecond }

  init?(argument: String) {
    var text = argument[...]
    if text.hasSuffix("/s") { text = text.dropLast(2) }
    var factor = 1.0
    if text.hasSuffix("k") { (factor, text) = (1e3, text.dropLast()) }
    if text.hasSuffix("M") { (factor, text) = (1e6, text.dropLast()) }
    guard text.first?.isNumber == true, let value = Double(text), value.isFinite,
      (1...10_000_000).contains(value * factor)
    else { return nil }
    perSecond = value * factor
  }

  var defaultValueDescription: String { "\(shortCount(perSecond))/s" }
}

/// `100`, `1KB`, `4KiB`.
struct ByteSize: ExpressibleByArgument {
  var bytes: Int

  init(bytes: Int) { self.bytes = bytes }

  init?(argument: String) {
    guard let bytes = byteCount(argument) else { return nil }
    self.bytes = bytes
  }

  var defaultValueDescription: String { bytes % 1000 == 0 ? "\(bytes / 1000)KB" : "\(bytes)" }
}

extension FlushTiming.Stall: ExpressibleByArgument {
  /// `200ms/1s`.
  public init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, let length = DurationText.parse(parts[0]), let period = DurationText.parse(parts[1]),
      length > .zero, length < period
    else { return nil }
    self.init(every: period, for: length)
  }
}
