/// Columns two spaces apart, as wide as their widest cell; nothing is left at the end of a line.
package func alignedColumns(_ lines: [[String]], rightAligned: Set<Int>) -> String {
  var widths: [Int] = []
  for line in lines {
    for (i, cell) in line.enumerated() {
      if i == widths.count { widths.append(0) }
      widths[i] = max(widths[i], cell.count)
    }
  }
  return lines.map { line in
    var text = ""
    for (i, cell) in line.enumerated() {
      let padding = String(repeating: " ", count: widths[i] - cell.count)
      text += (i == 0 ? "" : "  ") + (rightAligned.contains(i) ? padding + cell : cell + padding)
    }
    while text.last == " " { text.removeLast() }
    return text
  }.joined(separator: "\n")
}

/// `12345.6` as `12 346`.
package func grouped(_ value: Double) -> String {
  var digits = String(Int64(value.rounded()))
  var groups: [String] = []
  while digits.count > 3 {
    groups.insert(String(digits.suffix(3)), at: 0)
    digits.removeLast(3)
  }
  return ([digits] + groups).joined(separator: " ")
}

/// With `places` digits after the point; cut, not rounded up, so that 0.999 never reads as a target of 1.00 that was
/// missed.
package func fixed(_ value: Double, _ places: Int) -> String {
  var scale: Int64 = 1
  for _ in 0..<places { scale *= 10 }
  // One part in 10^9 forgives that 0.29 * 100 is 28.999999999999996.
  let cut = Int64((value * Double(scale) * (1 + 1e-9)).rounded(.down))
  let fraction = String(cut % scale)
  guard places > 0 else { return String(cut) }
  return "\(cut / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
}

package func percent(_ part: Double) -> String { "\(Int64((part * 100).rounded()))%" }

/// Nanoseconds as people read them: `9.4 us`, `12 ms`.
package func shortTime(_ nanoseconds: Int64) -> String {
  let n = Double(nanoseconds)
  for (unit, size) in [("s", 1e9), ("ms", 1e6), ("us", 1e3)] where n >= size {
    let value = n / size
    return value < 10 ? "\((value * 10).rounded() / 10) \(unit)" : "\(Int64(value.rounded())) \(unit)"
  }
  return nanoseconds == 0 ? "0" : "\(nanoseconds) ns"
}

/// `950`, `20k`, `1.3M`.
package func shortCount(_ value: Double) -> String {
  func rounded(_ value: Double) -> String {
    value < 10 && (value * 10).rounded() != value.rounded() * 10
      ? "\((value * 10).rounded() / 10)" : "\(Int64(value.rounded()))"
  }
  if value >= 999_500 { return rounded(value / 1e6) + "M" }
  if value >= 9_995 { return rounded(value / 1e3) + "k" }
  return "\(Int64(value.rounded()))"
}
