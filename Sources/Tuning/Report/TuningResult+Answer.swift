import LogModel

/// The answer in sentences, the same for a terminal, Markdown and HTML.
extension TuningResult {
  /// What was asked: `20k/s of 1 KB, 3 partitions, 16 producers, batches of 1`.
  var question: String {
    let load = requirements.workload
    func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }
    return "\(shortCount(load.rate))/s of \(load.messageSize) B, \(counted(load.partitions, "partition")), "
      + "\(counted(requirements.producers, "producer")), batches of \(requirements.batch); \(requirements.loss.words), "
      + "p99 at most " + DurationText.render(requirements.p99)
  }

  var place: String {
    disk.map { disk in
      let source = disk.source.isEmpty ? "" : " on \(disk.source)"
      return "\(disk.directory) (\(disk.fileSystem)\(source), \(disk.storage))"
    }
      ?? "a simulated disk"
  }

  var chosen: TuningPoint? { recommendation.chosen.map { points[$0] } }
  private var cheaper: TuningPoint? { recommendation.cheaper.map { points[$0] } }
  private var always: TuningPoint? { recommendation.always.map { points[$0] } }

  /// One line: what to do.
  var headline: String {
    if isInterrupted { return "Interrupted: no recommendation." }
    guard let chosen else { return "No setting does all of this on this disk." }
    let isIdle = disk?.signs.contains { $0.kind == .memory || $0.kind == .noBarrier } ?? false
    return "Use \(chosen.setting.name)." + (isIdle ? " But here no policy survives a power cut; see the signs." : "")
  }

  /// What follows the headline: why, what else there is, what to beware of.
  var reasons: [String] {
    if isInterrupted { return [] }
    guard let chosen else {
      return ["What each lacks, of those that lack least:"] + recommendation.obstacles.map { "  \($0)" }
        + ["Allow more loss or a higher p99, or use a faster disk. The last table shows what other batches change."]
    }
    var lines = [describe(chosen)]
    if let always, chosen.setting.policy != .always {
      let lacks = always.lacks(requirements)
      lines.append(
        "always would lose nothing, but " + (lacks.isEmpty ? "is slower" : lacks.joined(separator: "; ")) + ".")
    }
    lines += doubts
    if let cheaper {
      let lacks = cheaper.lacks(requirements)
      lines.append(
        "Next cheaper: \(cheaper.setting.name). \(describe(cheaper))"
          + (lacks.isEmpty ? "" : " It is not what you asked for: \(lacks.joined(separator: "; ")).")
      )
    }
    return lines
  }

  private func describe(_ point: TuningPoint) -> String {
    var text = "It carries \(shortCount(point.capacity))/s"
    if let times = point.timesAlways, point.setting.policy != .always { text += ", \(fixed(times, 1)) x always" }
    text +=
      ". At \(shortCount(requirements.workload.rate))/s 99 of 100 messages are acknowledged within "
      + "\(shortTime(point.atRate.latency.p99))."
    guard let promise = point.setting.promisedLoss else {
      return text + " A power cut may take everything that the kernel has not written back."
    }
    guard let loss = point.loss else { return text + " No power cut was made." }
    if promise == .zero, loss.messages.longest == 0 {
      return text + " \(loss.cuts) simulated power cuts took nothing."
    }
    return text + " \(loss.cuts) simulated power cuts took up to \(shortTime(loss.time.longest)); up to "
      + "\(shortTime(point.atRate.exposedTime.longest)) were exposed under load. It may lose "
      + "\(DurationText.render(promise))."
  }

  /// Settings as safe as the recommended one, or safer, of which one round says this and the other that.
  var doubts: [String] {
    let last = chosen?.setting.promisedLoss ?? .seconds(Int64.max / 2)
    let close = askedRows.map { points[$0] }.filter { point in
      let good = point.goodRounds(requirements)
      return point.setting.promisedLoss.map { $0 <= last } ?? false && good > 0 && good < point.rounds.count
        && point.isSafeEnough(requirements)
    }
    guard !close.isEmpty else { return [] }
    let names = close.map { "\($0.setting.name) in \($0.goodRounds(requirements)) of \($0.rounds.count)" }
    return [
      "The machine was unsteady. Fast enough were, by rounds: \(names.joined(separator: ", ")). Run it again, or with "
        + "--thorough."
    ]
  }

  /// What the engine did that its policy does not allow: a bug, and no figure.
  var findings: [String] {
    points.filter { !$0.isSound }.map { point in
      let loss = point.loss
      return "\(point.setting.name) lost up to \(shortTime(loss?.time.longest ?? 0)), "
        + "\(shortTime(loss?.beyond ?? 0)) beyond what its promise and its syncs explain; "
        + "recovery and storage differ by "
        + "\(shortTime(loss?.widestGap ?? 0))"
    }
  }

  /// What the disk does by itself.
  var diskLine: String? {
    guard let disk, let flush = disk.flush else { return nil }
    return "A flush (write + fdatasync) takes \(shortTime(flush.p50)) (median), \(shortTime(flush.p99)) (p99), "
      + "\(shortTime(flush.longest)) (longest of \(flush.messages))."
      + (disk.isSlowed ? " The settings were measured with slower flushes, as --flush or --stall says." : "")
  }

  /// Rows with the producers and the batch that were asked for.
  var askedRows: [Int] { points.indices.filter { points[$0].setting.isAsked(requirements) } }

  static let head = [
    "", "setting", "carries/s", "x", "p50", "p99", "may lose", "lost", "messages", "cuts", "longest latency",
    "median loss",
  ]
  static let numeric: Set<Int> = Set(2...11)
  /// A terminal has no room for the last two.
  static let narrow = 10

  /// - Returns: cells for `head`. The first says `*` for the recommended one, `!` for one that broke its promise, and
  ///   `.` for others of the front.
  func row(_ index: Int) -> [String] {
    let point = points[index]
    let mark =
      index == recommendation.chosen ? "*" : !point.keepsPromise ? "!" : front.contains(index) ? "." : ""
    let latency = point.atRate.latency
    let isAlways = point.setting.policy == .always && point.setting.commitWindow == 0
    let times = isAlways ? "1.0" : point.timesAlways.map { fixed($0, 1) } ?? "-"
    let isEndless = point.setting.promisedLoss == nil
    return [
      mark, point.setting.name, shortCount(point.capacity), times,
      shortTime(latency.p50), shortTime(latency.p99),
      point.setting.promisedLoss.map { $0 == .zero ? "0" : DurationText.render($0) } ?? "all",
      isEndless ? "all" : shortTime(point.worstTime ?? 0), isEndless ? "all" : "\(point.worstMessages ?? 0)",
      point.loss.map { "\($0.cuts)" } ?? "-", shortTime(latency.longest),
      isEndless ? "all" : shortTime(point.loss?.time.median ?? point.atRate.exposedTime.median),
    ]
  }

  static let legend =
    "* recommended; ! exposed more than it promises; . no other is as safe, as fast and as strong. carries/s: with "
    + "producers that never pause; x: beside always. p50, p99: at the rate, from the moment at which a message is due. "
    + "lost: the longest, by simulated power cuts or exposed under load."

  static let comparisonHead = ["batch", "producers", "always/s", "interval(100ms)/s", "x", "never/s", "x"]

  /// Each batch and number of producers: what the policies carry.
  var comparison: [[String]] {
    var keys: [[Int]] = []
    for point in points where !keys.contains([point.setting.batch, point.setting.producers]) {
      keys.append([point.setting.batch, point.setting.producers])
    }
    return keys.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }.map { key in
      func capacity(_ policy: SyncPolicy) -> Double? {
        points.first {
          $0.setting.policy == policy && $0.setting.commitWindow == 0 && $0.setting.batch == key[0]
            && $0.setting.producers == key[1]
        }?.capacity
      }
      let (always, interval, never) = (capacity(.always), capacity(.interval(.milliseconds(100))), capacity(.never))
      func times(_ other: Double?) -> String {
        guard let always, let other, always > 0 else { return "-" }
        return fixed(other / always, 1)
      }
      return [
        "\(key[0])", "\(key[1])", always.map(shortCount) ?? "-", interval.map(shortCount) ?? "-", times(interval),
        never.map(shortCount) ?? "-", times(never),
      ]
    }
  }
}
