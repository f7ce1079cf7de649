/// Points by two quantities, with names beside them and limits as dashed lines.
public struct ScatterPlot: Sendable {
  public struct Point: Sendable {
    public var x: Double
    public var y: Double
    /// From 0 to 1: the area of the dot.
    public var size: Double
    public var name: String
    public var series: Int
    /// Drawn with a ring.
    public var isChosen: Bool

    public init(x: Double, y: Double, size: Double, name: String, series: Int = 0, isChosen: Bool = false) {
      (self.x, self.y, self.size) = (x, y, size)
      (self.name, self.series, self.isChosen) = (name, series, isChosen)
    }
  }

  public var points: [Point]
  public var xTitle: String
  public var yTitle: String
  /// Where points stand whose `x` is zero, which has no logarithm.
  public var zeroName: String
  /// Where points stand whose `x` is infinite.
  public var endlessName: String
  public var xLimit: Double?
  public var yLimit: Double?
  public var text: @Sendable (Double) -> String

  public init(
    _ points: [Point], x: String, y: String, zero: String, endless: String, xLimit: Double? = nil,
    yLimit: Double? = nil, text: @escaping @Sendable (Double) -> String
  ) {
    (self.points, xTitle, yTitle, zeroName, endlessName) = (points, x, y, zero, endless)
    (self.xLimit, self.yLimit, self.text) = (xLimit, yLimit, text)
  }

  public func render() -> String {
    let (width, height, left, right, top, bottom) = (860.0, 420.0, 74.0, 846.0, 14.0, 366.0)
    let (zeroX, endlessX) = (left + 36, right - 60)
    let x = LogAxis(points.map(\.x) + [xLimit ?? 0], from: left + 90, to: right - 130)
    let y = LogAxis(points.map(\.y) + [yLimit ?? 0], from: bottom, to: top)
    func across(_ value: Double) -> Double { value == 0 ? zeroX : value.isInfinite ? endlessX : x.place(value) }
    var svg = Drawing(width, height, label: "\(yTitle) against \(xTitle)")
    for tick in y.ticks {
      svg.line(left, y.place(tick), right, y.place(tick), "grid")
      svg.text(left - 8, y.place(tick) + 4, text(tick), "quiet", anchor: "end")
    }
    for tick in x.ticks {
      svg.line(x.place(tick), top, x.place(tick), bottom, "grid")
      svg.text(x.place(tick), bottom + 18, text(tick), "quiet", anchor: "middle")
    }
    if points.contains(where: { $0.x == 0 }) { svg.text(zeroX, bottom + 18, zeroName, "quiet", anchor: "middle") }
    if points.contains(where: { $0.x.isInfinite }) {
      svg.text(endlessX, bottom + 18, endlessName, "quiet", anchor: "middle")
    }
    svg.text((left + right) / 2, height - 12, xTitle, anchor: "middle")
    svg.text(16, (top + bottom) / 2, yTitle, anchor: "middle", turned: true)
    if let xLimit { svg.line(across(xLimit), top, across(xLimit), bottom, "limit") }
    if let yLimit { svg.line(left, y.place(yLimit), right, y.place(yLimit), "limit") }
    for point in points {
      let radius = 4 + 10 * max(0, min(1, point.size)).squareRoot()
      svg.circle(across(point.x), y.place(point.y), radius, "dot s\(point.series)")
      if point.isChosen { svg.circle(across(point.x), y.place(point.y), radius + 4, "ring") }
    }
    for (point, place) in labels(across, y) {
      svg.text(place.x, place.y, point.name, "name s\(point.series)")
    }
    return svg.render()
  }

  /// Names beside their dots; one that would cover another moves down.
  private func labels(_ across: (Double) -> Double, _ y: LogAxis) -> [(Point, (x: Double, y: Double))] {
    var placed: [(Point, (x: Double, y: Double))] = []
    for point in points.sorted(by: { $0.y > $1.y }) {
      var place = (x: across(point.x) + 10 + 8 * max(0, min(1, point.size)), y: y.place(point.y) + 4)
      var moves = 0
      while moves < 20,
        placed.contains(where: { other in
          abs(other.1.y - place.y) < 14 && other.1.x < place.x + 7 * Double(point.name.count)
            && place.x < other.1.x + 7 * Double(other.0.name.count)
        })
      {
        place.y += 14
        moves += 1
      }
      placed.append((point, place))
    }
    return placed
  }
}
