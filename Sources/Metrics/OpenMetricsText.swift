/// The text exposition of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), section "Text
/// Format":
///
/// 1. For each family `# TYPE`, `# UNIT` where it has one, `# HELP`, then its samples; families do not mix.
/// 2. A sample is `name{label="value",...} number`; labels of a family are in one order, those of a histogram's classes
///    end with `le`. A counter's sample ends with `_total`; a histogram has its classes cumulated and ascending, the
///    last of them `le="+Inf"`, then `_count`, which equals that one, and `_sum`.
/// 3. In label values and help texts a backslash, a line feed and a double quote are escaped.
/// 4. Lines end with a line feed; the last is `# EOF`.
public enum OpenMetricsText {
  /// What an HTTP answer that carries the text says it is.
  public static let contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

  public static func render(_ snapshot: MetricSnapshot) -> String {
    var text = ""
    for family in snapshot.families {
      text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
      if let unit = family.name.unit { text += "# UNIT \(family.name) \(unit)\n" }
      text += "# HELP \(family.name) \(escape(family.help))\n"
      for sample in family.samples { text += "\(sample.series) \(render(sample.value))\n" }
    }
    return text + "# EOF\n"
  }

  static func render(_ value: MetricSnapshot.Value) -> String {
    switch value {
    case .integer(let n): String(n)
    case .real(let x): render(x)
    }
  }

  /// `0.01`, `1.0`, `1e-05`, `+Inf`, `NaN`: the shortest that reads back as the same number.
  static func render(_ x: Double) -> String {
    if x.isNaN { return "NaN" }
    if x.isInfinite { return x < 0 ? "-Inf" : "+Inf" }
    return x.description
  }

  static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"": escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
