import LogModel
import Plots

extension TunedResult {
  /// One self-contained page with the plots.
  func html(_ old: TuningComparison?) -> String {
    var page = HTMLPage(title: "\(Setting.command): \(headline)")
    page.heading(headline, level: 1)
    page.paragraph("In \(place): \(question).", class: "quiet")
    addReasons(to: &page)
    for finding in findings { page.paragraph("Finding: \(finding)") }
    for notice in (disk?.notices ?? []) + (notes ?? []) { page.paragraph("Note: \(notice)", class: "quiet") }
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
    page.paragraph(legend, class: "quiet")
    page.heading("Loss and exposure")
    page.table(Self.lossHead, lossRows, numeric: Self.lossNumeric)
    let comparison = comparison
    if !comparison.isEmpty {
      page.heading("Batches and producers")
      page.table(Self.comparisonHead, comparison, numeric: Set(0...6))
    }
    let claims = Setting.claims(of: self)
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
      origin(command: Setting.command),
      class: "quiet")
    return page.render()
  }

  /// What is indented is an item: what each setting lacks.
  private func addReasons(to page: inout HTMLPage) {
    var items: [String] = []
    for reason in reasons {
      if reason.hasPrefix("  ") {
        items.append(String(reason.dropFirst(2)))
      } else {
        page.list(items)
        items = []
        page.paragraph(reason)
      }
    }
    page.list(items)
  }

  private func lossPlot() -> String {
    let most = askedRows.map { points[$0].capacity }.max() ?? 1
    let dots = askedRows.map { index in
      let point = points[index]
      return ScatterPlot.Point(
        x: point.shownTime.map(Double.init) ?? .infinity, y: Double(max(1, point.atRate.latency.p99)),
        size: point.capacity / most, name: point.setting.name, series: point.setting.series,
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
      askedRows.map { (points[$0].setting.name, points[$0].capacity, points[$0].setting.series) },
      limit: requirements.workload.rate * Requirements.headroom, label: "messages a second by setting",
      text: { "\(shortCount($0))/s" }
    ).render()
  }

  private func latencyPlot() -> String {
    var shown = [recommendation.always, recommendation.chosen, recommendation.cheaper].compactMap { $0 }
    shown += askedRows.filter { points[$0].setting.promisedLoss == nil }.prefix(1)
    shown += askedRows.filter { points[$0].setting.promisedLoss == .milliseconds(100) } + askedRows
    var seen: Set<Int> = []
    // Each has a colour of its own: that of its kind, where it is free.
    var free = [0, 1, 2, 3, 4]
    let curves = shown.filter { seen.insert($0).inserted }.prefix(5).map { index in
      let own = points[index].setting.series
      let color = free.contains(own) ? own : [3, 4, 0, 1, 2].first { free.contains($0) } ?? own
      free.removeAll { $0 == color }
      let latency = points[index].atRate.latency
      return (
        name: points[index].setting.name,
        values: [latency.p50, latency.p90, latency.p99, latency.p999, latency.longest].map { Double(max(1, $0)) },
        series: color
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
