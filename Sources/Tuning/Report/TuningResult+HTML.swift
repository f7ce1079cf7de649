import LogModel
import Plots

extension TuningResult {
  /// One self-contained page with the plots.
  func html(_ old: TuningComparison?) -> String {
    var page = HTMLPage(title: "tornlog tune: \(headline)")
    page.heading(headline, level: 1)
    page.paragraph("In \(place): \(question).", class: "quiet")
    for reason in reasons { page.paragraph(reason) }
    for finding in findings { page.paragraph("Finding: \(finding)") }
    for notice in disk?.notices ?? [] { page.paragraph("Note: \(notice)", class: "quiet") }
    if let diskLine { page.paragraph(diskLine) }
    let signs = disk?.signs ?? []
    if !signs.isEmpty {
      page.paragraph("Signs that a flush may not reach the medium (signs, no proof):")
      page.list(signs.map(\.text))
    }
    page.heading("Loss against latency")
    page.figure(
      lossPlot(),
      caption:
        "Left and low is good. The area of a dot is what the setting carries. Dashed: the limits that were asked "
        + "for. The ring marks the recommended setting.")
    page.heading("What each setting carries")
    page.figure(
      capacityPlot(), caption: "Messages a second with producers that never pause. Dashed: the rate and a quarter more."
    )
    page.heading("Latency by percentile")
    page.figure(
      latencyPlot(),
      caption:
        "At \(shortCount(requirements.workload.rate))/s, from the moment at which a message is due: a stall counts "
        + "for every message that it delays.")
    if let disk, !disk.strip.isEmpty {
      page.heading("Flushes over time")
      page.figure(
        stripPlot(disk), caption: "write + fdatasync on a growing file, the slowest of each short stretch.")
    }
    page.heading("Settings")
    let marked = Set(askedRows.enumerated().filter { $0.element == recommendation.chosen }.map(\.offset))
    page.table(Self.head, askedRows.map(row), numeric: Self.numeric, marked: marked)
    page.paragraph(Self.legend, class: "quiet")
    page.heading("Batches and producers")
    page.table(Self.comparisonHead, comparison, numeric: Set(0...6))
    if !claims.isEmpty {
      page.heading("What the documents say")
      page.table(DocumentClaim.head, claims.map(\.cells))
    }
    if let ways = disk?.ways {
      page.heading("The disk")
      page.table(Self.wayHead, ways.map(Self.wayRow), numeric: Set(1...4))
    }
    if let old {
      page.heading(old.title)
      page.table(old.head, old.rows, numeric: Set(1...9))
    }
    page.paragraph(
      origin(command: "tornlog tune"),
      class: "quiet")
    return page.render()
  }

  private static func series(_ policy: SyncPolicy) -> Int {
    switch policy {
    case .always: 2
    case .interval: 0
    case .never: 1
    }
  }

  private func lossPlot() -> String {
    let most = askedRows.map { points[$0].capacity }.max() ?? 1
    let dots = askedRows.map { index in
      let point = points[index]
      return ScatterPlot.Point(
        x: point.worstTime.map(Double.init) ?? .infinity, y: Double(max(1, point.atRate.latency.p99)),
        size: point.capacity / most, name: point.setting.name, series: Self.series(point.setting.policy),
        isChosen: index == recommendation.chosen)
    }
    let limit: Double? = if case .time(let limit) = requirements.loss { Double(limit.nanoseconds) } else { nil }
    return ScatterPlot(
      dots, x: "longest loss", y: "p99", zero: "none", endless: "everything", xLimit: limit,
      yLimit: Double(requirements.p99.nanoseconds), text: { shortTime(Int64($0)) }
    ).render()
  }

  private func capacityPlot() -> String {
    BarPlot(
      askedRows.map { (points[$0].setting.name, points[$0].capacity, Self.series(points[$0].setting.policy)) },
      limit: requirements.workload.rate * Requirements.headroom, label: "messages a second by setting",
      text: { "\(shortCount($0))/s" }
    ).render()
  }

  private func latencyPlot() -> String {
    var shown = [recommendation.always, recommendation.chosen, recommendation.cheaper].compactMap { $0 }
    shown += askedRows.filter { points[$0].setting.policy == .never }
    shown += askedRows.filter { points[$0].setting.policy == .interval(.milliseconds(100)) }
    var seen: Set<Int> = []
    // Up to three intervals get colours of their own.
    var intervals = [0, 3, 4]
    let curves = shown.filter { seen.insert($0).inserted }.prefix(5).map { index in
      let color = Self.series(points[index].setting.policy)
      let latency = points[index].atRate.latency
      return (
        name: points[index].setting.name,
        values: [latency.p50, latency.p90, latency.p99, latency.p999, latency.longest].map { Double(max(1, $0)) },
        series: color == 0 && !intervals.isEmpty ? intervals.removeFirst() : color
      )
    }
    return CurvePlot(
      ["50 %", "90 %", "99 %", "99.9 %", "all"], Array(curves), y: "latency", text: { shortTime(Int64($0)) }
    ).render()
  }

  private func stripPlot(_ disk: DiskFigures) -> String {
    StripPlot(
      disk.strip.map { (Double($0.start), Double(max(1, $0.latency))) }, y: "flush", text: { shortTime(Int64($0)) },
      timeText: { shortTime(Int64($0)) }
    ).render()
  }
}
