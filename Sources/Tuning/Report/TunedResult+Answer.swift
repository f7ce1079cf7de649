import LogModel

/// The answer in sentences, the same for a terminal, Markdown and HTML.
extension TunedResult {
  /// What was asked: `20k/s of 1 KB, 3 partitions, 16 producers, batches of 1; no loss, p99 at most 5ms`.
  var question: String {
    "\(Setting.load(requirements)); \(requirements.loss.words), p99 at most \(DurationText.render(requirements.p99))"
  }

  var place: String {
    disk.map { disk in
      let source = disk.source.isEmpty ? "" : " on \(disk.source)"
      return "\(disk.directory) (\(disk.fileSystem)\(source), \(disk.storage))"
    }
      ?? "a simulated disk"
  }

  var chosen: TunedPoint<Setting>? { recommendation.chosen.map { points[$0] } }
  private var cheaper: TunedPoint<Setting>? { recommendation.cheaper.map { points[$0] } }
  var always: TunedPoint<Setting>? { recommendation.always.map { points[$0] } }

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
        + [
          "Allow more loss or a higher p99, or use a faster disk."
            + (comparison.count > 1 ? " The last table shows what other batches change." : "")
        ]
    }
    var lines = [describe(chosen)]
    if let always, chosen.setting.promisedLoss != .zero {
      let lacks = always.lacks(requirements)
      lines.append(
        "\(always.setting.name) would lose nothing, but "
          + (lacks.isEmpty ? "is slower" : lacks.joined(separator: "; ")) + ".")
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

  private func describe(_ point: TunedPoint<Setting>) -> String {
    var text = "It carries \(shortCount(point.capacity))/s"
    if let times = point.timesAlways, let always, point.setting.promisedLoss != .zero {
      text += ", \(fixed(times, 1)) x \(always.setting.name)"
    }
    text +=
      ". At \(shortCount(requirements.workload.rate))/s 99 of 100 messages are acknowledged within "
      + "\(shortTime(point.atRate.latency.p99))."
    guard let promise = point.setting.promisedLoss else {
      let lost = Setting.countsExposure ? nil : point.loss
      return text + " \(Setting.endlessPromise)"
        + (lost.map { " \($0.cuts) simulated power cuts took up to \(shortTime($0.time.longest))." } ?? "")
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

  /// What a setting did that its promise does not allow: a bug, and no figure.
  var findings: [String] {
    points.filter { !$0.isSound }.map { point in
      let loss = point.loss
      var parts: [String] = []
      if loss?.beyond ?? 0 > 0 || loss?.widestGap ?? 0 > 0 || !point.keepsPromise {
        parts.append(
          "lost up to \(shortTime(loss?.time.longest ?? 0)), \(shortTime(loss?.beyond ?? 0)) beyond what its promise "
            + "and its syncs explain")
      }
      if Setting.countsExposure {
        parts.append("recovery and storage differ by \(shortTime(loss?.widestGap ?? 0))")
      }
      return "\(point.setting.name) " + (parts + (point.broken ?? [])).joined(separator: "; ")
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

  static var head: [String] {
    [
      "", "setting", "carries/s", "x", "p50", "p99", "may lose", "lost", "messages", "cuts", "longest latency",
      "median loss",
    ]
  }
  static var numeric: Set<Int> { Set(2...11) }
  /// A terminal has no room for the last two.
  static var narrow: Int { 10 }

  /// - Returns: cells for `head`. The first says `*` for the recommended one, `!` for one that broke its promise, and
  ///   `.` for others of the front.
  func row(_ index: Int) -> [String] {
    let point = points[index]
    let mark =
      index == recommendation.chosen ? "*" : !point.keepsPromise ? "!" : front.contains(index) ? "." : ""
    let latency = point.atRate.latency
    let times = point.setting.isReference ? "1.0" : point.timesAlways.map { fixed($0, 1) } ?? "-"
    let isEndless = point.shownTime == nil
    return [
      mark, point.setting.name, shortCount(point.capacity), times,
      shortTime(latency.p50), shortTime(latency.p99),
      point.setting.promisedLoss.map { $0 == .zero ? "0" : DurationText.render($0) } ?? "all",
      point.shownTime.map(shortTime) ?? "all", point.shownMessages.map { "\($0)" } ?? "all",
      point.loss.map { "\($0.cuts)" } ?? "-", shortTime(latency.longest),
      isEndless ? "all" : shortTime(point.loss?.time.median ?? point.atRate.exposedTime.median),
    ]
  }

  var legend: String {
    "* recommended; ! lost or exposed more than it promises; . no other is as safe, as fast and as strong. carries/s: "
      + "with producers that never pause; x: beside \(always?.setting.name ?? "what promises most"). p50, p99: at the "
      + "rate, from the moment at which a message is due. lost: the longest, by simulated power cuts"
      + (Setting.countsExposure ? " or exposed under load." : ".")
  }

  // MARK: Losses in detail

  static var lossHead: [String] {
    [
      "setting", "may lose", "cuts", "lost: median", "p99", "longest", "messages", "p99", "longest", "exposed: median",
      "p99", "longest", "messages", "p99", "longest",
    ]
  }
  static var lossNumeric: Set<Int> { Set(1...14) }

  /// Of each asked setting: what power cuts took, and what was acknowledged and not durable under load.
  var lossRows: [[String]] {
    askedRows.map { index in
      let point = points[index]
      func times(_ spread: Spread) -> [String] {
        [spread.median, spread.p99, spread.longest].map { shortTime($0) }
      }
      func counts(_ spread: Spread) -> [String] { [spread.median, spread.p99, spread.longest].map { "\($0)" } }
      let none = [String](repeating: "-", count: 6)
      return [
        point.setting.name, point.setting.promisedLoss.map { $0 == .zero ? "0" : DurationText.render($0) } ?? "all",
        point.loss.map { "\($0.cuts)" } ?? "-",
      ] + (point.loss.map { times($0.time) + counts($0.messages) } ?? none)
        + times(point.atRate.exposedTime) + counts(point.atRate.exposedMessages)
    }
  }

  // MARK: Other batches and producers

  static var comparisonHead: [String] { ["batch", "producers", "always/s", "interval(100ms)/s", "x", "never/s", "x"] }

  /// Each batch and number of producers: what the policies carry.
  var comparison: [[String]] { Setting.comparison(of: points) }
}
