/// `100`, `100B`, `1KB` (1000), `1KiB` (1024), `1MB`, `1MiB`, `1GB`, `1GiB`; nil for anything else.
public func byteCount(_ text: String) -> Int? {
  let units = [
    "": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1_000_000, "MiB": 1 << 20, "GB": 1_000_000_000, "GiB": 1 << 30,
  ]
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  guard let n = Int(digits), let unit = units[String(text.dropFirst(digits.count))] else { return nil }
  let (bytes, overflow) = n.multipliedReportingOverflow(by: unit)
  return overflow ? nil : bytes
}

/// What `byteCount` reads, as a regular expression.
public let sizePattern = "[0-9]+(B|[KMG]i?B)?"
