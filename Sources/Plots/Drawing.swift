/// An SVG drawing. Colours come from the page's style, so that light and dark both read.
struct Drawing {
  private let width: Double
  private let height: Double
  private let label: String
  private var parts: [String] = []

  /// - Parameter label: what it shows, for those who cannot see it.
  init(_ width: Double, _ height: Double, label: String) {
    (self.width, self.height, self.label) = (width, height, label)
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
    parts.append(
      "<line x1=\"\(coordinate(x1))\" y1=\"\(coordinate(y1))\" x2=\"\(coordinate(x2))\" y2=\"\(coordinate(y2))\""
        + " class=\"\(style)\"/>")
  }

  mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String) {
    parts.append(
      "<circle cx=\"\(coordinate(x))\" cy=\"\(coordinate(y))\" r=\"\(coordinate(radius))\" class=\"\(style)\"/>")
  }

  mutating func bar(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String) {
    parts.append(
      "<rect x=\"\(coordinate(x))\" y=\"\(coordinate(y))\" width=\"\(coordinate(max(1, width)))\" "
        + "height=\"\(coordinate(height))\" class=\"\(style)\"/>")
  }

  mutating func curve(_ points: [(x: Double, y: Double)], _ style: String) {
    let path = points.map { "\(coordinate($0.x)),\(coordinate($0.y))" }.joined(separator: " ")
    parts.append("<polyline points=\"\(path)\" class=\"\(style)\"/>")
  }

  mutating func text(
    _ x: Double, _ y: Double, _ text: String, _ style: String = "", anchor: String = "start", turned: Bool = false
  ) {
    let turn = turned ? " transform=\"rotate(-90 \(coordinate(x)) \(coordinate(y)))\"" : ""
    parts.append(
      "<text x=\"\(coordinate(x))\" y=\"\(coordinate(y))\" text-anchor=\"\(anchor)\" class=\"\(style)\"\(turn)>"
        + "\(escapedMarkup(text))</text>")
  }

  func render() -> String {
    "<svg viewBox=\"0 0 \(coordinate(width)) \(coordinate(height))\" role=\"img\" "
      + "aria-label=\"\(escapedMarkup(label))\">\n" + parts.joined(separator: "\n") + "\n</svg>"
  }
}
