import LogModel

/// The answer in sentences, the same for a terminal, Markdown and HTML.
extension TuningResult {
  /// What was asked: `20k/s of 1 KB, 3 partitions, 16 producers, batches of 1`.
  var question: String {
    let load = requirements.workload
    return "\(shortCount(load.rate))/s of \(load.messageSize) B, \(load.partitions) partitions, "
      + "\(requirements.producers) producers, batches of \(requirements.batch); \(requirements.loss.words), "
      + "p99 at most " + DurationText.render(requirements.p99)
  }

  var place: String {
    disk.map { "\($0.directory) (\($0.fileSystem)\($0.source.isEmpty ? "" : " on \($0.source)"))" }
      ?? "a simulated disk"
  }

  var chosen: TuningPoint? { recommendation.chosen.map { points[$0] } }
  private var cheaper: TuningPoint? { recommendation.cheaper.map { points[$0] } }
  private var always: TuningPoint? { recommendation.always.map { points[$0] } }

  /// One line: what to do.
  var headline: String {
    if isInterrupted { return "Interrupted: no recommendation." }
    guard let chosen else { return "No setting does all of this on this disk." }
    return "Use \(chosen.setting.name)."
  }

  /// What follows the headline: why, what else there is, what to beware of.
  var reasons: [String] {
    if isInterrupted { return [] }
    guard let chosen else {
      return ["What each lacks, of those that lack least:"] + recommendation.obstacles.map { "  \($0)" }
        + ["Allow more loss or a higher p99, send larger batches, or use a faster disk."]
    }
    var lines = [describe(chosen)]
    if let always, chosen.setting.policy != .always {
      let lacks = always.lacks(requirements)
      lines.append(
        "\(always.setting.name) would lose nothing, but "
          + (lacks.isEmpty ? "is slower" : lacks.joined(separator: "; "))
          + ".")
    }
    if let cheaper { lines.append("Next cheaper: \(cheaper.setting.name). \(describe(cheaper))") }
    return lines
  }

  private func describe(_ point: TuningPoint) -> String {
    var text = "It carries \(shortCount(point.capacity))/s"
    if let times = point.timesAlways, point.setting.policy != .always { text += ", \(fixed(times, 1)) x always" }
    text +=
      ". At \(shortCount(requirements.workload.rate))/s 99 of 100 messages are acknowledged within "
      + "\(shortTime(point.atRate.latency.p99))."
    guard let promise = point.setting.promisedLoss, let worst = point.worstTime else {
      return text + " A power cut may take everything that the kernel has not written back."
    }
    let cuts = point.loss.map { " in \($0.cuts) power cuts" } ?? ""
    if promise == .zero, worst == 0 { return text + " Nothing was lost\(cuts)." }
    return text + " A power cut took up to \(shortTime(worst))\(cuts); it may take \(DurationText.render(promise))."
  }

  /// What the disk does by itself.
  var diskLine: String? {
    guard let disk, let flush = disk.flush else { return nil }
    return "A flush (write + fdatasync) takes \(shortTime(flush.p50)) (median), \(shortTime(flush.p99)) (p99), "
      + "\(shortTime(flush.longest)) (longest of \(flush.messages))."
      + (disk.slowed ? " The settings were measured with slower flushes, as --flush or --stall says." : "")
  }

  /// Rows with the producers and the batch that were asked for.
  var askedRows: [Int] {
    points.indices.filter {
      points[$0].setting.batch == requirements.batch && points[$0].setting.producers == requirements.producers
    }
  }

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
    let isEndless = point.setting.promisedLoss == nil
    return [
      mark, point.setting.name, shortCount(point.capacity), point.timesAlways.map { fixed($0, 1) } ?? "1.0",
      shortTime(latency.p50), shortTime(latency.p99),
      point.setting.promisedLoss.map { $0 == .zero ? "0" : DurationText.render($0) } ?? "all",
      isEndless ? "all" : shortTime(point.worstTime ?? 0), isEndless ? "all" : "\(point.worstMessages ?? 0)",
      point.loss.map { "\($0.cuts)" } ?? "-", shortTime(latency.longest),
      isEndless ? "all" : shortTime(point.loss?.time.median ?? point.atRate.exposedTime.median),
    ]
  }

  static let legend =
    "* recommended; ! lost more than it promises; . no other is as safe, as fast and as strong. carries/s: with "
    + "producers that never pause; x: beside always. p50, p99: at the rate, from the moment at which a message is due. "
    + "lost: the longest, by power cuts and by the trace."

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
