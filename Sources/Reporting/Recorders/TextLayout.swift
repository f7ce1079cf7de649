import LogModel

extension String {
  /// Filled with spaces on the right to `width` columns.
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  /// Filled with spaces on the left.
  func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

  /// On one line, with nothing in it that steers a terminal: file names and messages must not.
  package var printable: String { escapingControls() }
}

extension Double {
  /// With exactly `digits` decimals; `-` for what is no number.
  func fixed(_ digits: Int) -> String {
    let scale = (0..<digits).reduce(1.0) { n, _ in n * 10 }
    let scaled = (self * scale).rounded()
    guard scaled.isFinite, abs(scaled) < 9e18 else { return "-" }
    guard digits > 0 else { return String(Int(scaled)) }
    let n = Int(abs(scaled))
    let fraction = String(n % Int(scale))
    let zeros = String(repeating: "0", count: digits - fraction.count)
    return "\(scaled < 0 ? "-" : "")\(n / Int(scale)).\(zeros)\(fraction)"
  }
}

/// `0.3 s`, `42 s`, `3 min 05 s`, `2 h 10 min`
func durationText(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "-" }
  if seconds < 9.95 { return "\(seconds.fixed(1)) s" }
  let s = Int(seconds.rounded())
  func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
  if s < 60 { return "\(s) s" }
  if s < 3600 { return "\(s / 60) min \(two(s % 60)) s" }
  return "\(s / 3600) h \(two(s % 3600 / 60)) min"
}

/// Columns as wide as their widest cell; the first `leading` ones flush left, the others flush right.
func alignedTable(_ rows: [[String]], leading: Int) -> [String] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { c in rows.map { c < $0.count ? $0[c].count : 0 }.max() ?? 0 }
  return rows.map { row in
    let cells = row.enumerated().map { c, cell in c < leading ? cell.padded(widths[c]) : cell.leftPadded(widths[c]) }
    let line = cells.joined(separator: "  ")
    return String(line.reversed().drop { $0 == " " }.reversed())
  }
}
