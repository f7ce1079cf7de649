/// A value by names in order, one curve for each series: percentiles.
public struct CurvePlot: Sendable {
  public var names: [String]
  /// `series` is one of the page's colours, 0 to 4.
  public var curves: [(name: String, values: [Double], series: Int)]
  public var yTitle: String
  public var text: @Sendable (Double) -> String

  public init(
    _ names: [String], _ curves: [(name: String, values: [Double], series: Int)], y: String,
    text: @escaping @Sendable (Double) -> String
  ) {
    (self.names, self.curves, yTitle, self.text) = (names, curves, y, text)
  }

  public func render() -> String {
    let (width, height, left, right, top, bottom) = (860.0, 360.0, 74.0, 700.0, 14.0, 320.0)
    let y = LogAxis(curves.flatMap(\.values), from: bottom, to: top)
    let step = (right - left - 40) / Double(max(1, names.count - 1))
    func across(_ index: Int) -> Double { left + 20 + step * Double(index) }
    var svg = Drawing(width, height, label: yTitle)
    for tick in y.ticks {
      svg.line(left, y.place(tick), right, y.place(tick), "grid")
      svg.text(left - 8, y.place(tick) + 4, text(tick), "quiet", anchor: "end")
    }
    for (index, name) in names.enumerated() { svg.text(across(index), bottom + 20, name, "quiet", anchor: "middle") }
    svg.text(16, (top + bottom) / 2, yTitle, anchor: "middle", turned: true)
    var taken: [Double] = []
    for one in curves {
      let points = one.values.enumerated().map { (x: across($0.offset), y: y.place($0.element)) }
      svg.curve(points, "curve s\(one.series)")
      for point in points { svg.circle(point.x, point.y, 3, "dot s\(one.series)") }
      var at = (points.last?.y ?? bottom) + 4
      while taken.contains(where: { abs($0 - at) < 15 }) { at += 3 }
      taken.append(at)
      svg.text(right + 8, at, one.name, "name s\(one.series)")
    }
    return svg.render()
  }
}

/// Values over time, each a stem: what is rare and high is seen.
public struct StripPlot: Sendable {
  public var moments: [(time: Double, value: Double)]
  public var yTitle: String
  public var text: @Sendable (Double) -> String
  public var timeText: @Sendable (Double) -> String

  public init(
    _ moments: [(time: Double, value: Double)], y: String, text: @escaping @Sendable (Double) -> String,
    timeText: @escaping @Sendable (Double) -> String
  ) {
    (self.moments, yTitle, self.text, self.timeText) = (moments, y, text, timeText)
  }

  public func render() -> String {
    let (width, height, left, right, top, bottom) = (860.0, 240.0, 74.0, 846.0, 14.0, 200.0)
    let y = LogAxis(moments.map(\.value), from: bottom, to: top)
    let end = max(moments.map(\.time).max() ?? 1, 1e-9)
    var svg = Drawing(width, height, label: yTitle)
    for tick in y.ticks {
      svg.line(left, y.place(tick), right, y.place(tick), "grid")
      svg.text(left - 8, y.place(tick) + 4, text(tick), "quiet", anchor: "end")
    }
    for moment in moments {
      let x = left + (right - left) * moment.time / end
      svg.line(x, bottom, x, y.place(moment.value), "stem s0")
    }
    for share in [0.0, 0.5, 1.0] {
      let anchor = share == 0 ? "start" : share == 1 ? "end" : "middle"
      svg.text(left + (right - left) * share, bottom + 20, timeText(end * share), "quiet", anchor: anchor)
    }
    svg.text(16, (top + bottom) / 2, yTitle, anchor: "middle", turned: true)
    return svg.render()
  }
}

/// Bars from the left, one a name, with a limit as a dashed line.
public struct BarPlot: Sendable {
  public var bars: [(name: String, value: Double, series: Int)]
  public var limit: Double?
  public var label: String
  public var text: @Sendable (Double) -> String

  public init(
    _ bars: [(name: String, value: Double, series: Int)], limit: Double?, label: String,
    text: @escaping @Sendable (Double) -> String
  ) {
    (self.bars, self.limit, self.label, self.text) = (bars, limit, label, text)
  }

  public func render() -> String {
    let (width, left, right, row) = (860.0, 190.0, 770.0, 22.0)
    let height = row * Double(bars.count) + 16
    let most = max(bars.map(\.value).max() ?? 1, limit ?? 0, 1e-9)
    var svg = Drawing(width, height, label: label)
    for (index, bar) in bars.enumerated() {
      let top = 6 + row * Double(index)
      svg.text(left - 10, top + 14, bar.name, anchor: "end")
      svg.bar(left, top + 2, (right - left) * bar.value / most, row - 6, "bar s\(bar.series % 5)")
    }
    if let limit {
      let x = left + (right - left) * limit / most
      svg.line(x, 2, x, height - 8, "limit")
    }
    // Above the limit's line, with a rim of the paper's colour.
    for (index, bar) in bars.enumerated() {
      let top = 6 + row * Double(index)
      svg.text(left + (right - left) * bar.value / most + 6, top + 14, text(bar.value), "quiet")
    }
    return svg.render()
  }
}
