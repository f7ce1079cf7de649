import Glibc

/// Text on its way to a descriptor: numbers become digits in place, so that a record costs no allocation. Nothing that
/// is put here steers a terminal: strings are escaped.
public final class LineBuffer {
  private static let capacity = 64 << 10
  private let descriptor: Int32
  private let base = UnsafeMutablePointer<UInt8>.allocate(capacity: LineBuffer.capacity + 4096)
  private var count = 0
  /// The reader of a pipe has gone (`| head`): nothing more need be made.
  public private(set) var isClosed = false
  public private(set) var failure: LogToolError?

  public init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { base.deallocate() }

  public var isOver: Bool { isClosed || failure != nil }

  public func flush() {
    defer { count = 0 }
    guard !isOver, count > 0 else { return }
    do throws(LogToolError) {
      try writeAll(UnsafeRawBufferPointer(start: base, count: count), to: descriptor, "standard output")
    } catch {
      if case .system(_, _, EPIPE) = error { isClosed = true } else { failure = error }
    }
  }

  @inline(__always)
  private func reserve() { if count >= Self.capacity { flush() } }

  /// A short text that needs no escaping.
  @inline(__always)
  func put(_ text: StaticString) {
    reserve()
    memcpy(base + count, text.utf8Start, text.utf8CodeUnitCount)
    count += text.utf8CodeUnitCount
  }

  @inline(__always)
  func put(byte: UInt8) {
    reserve()
    base[count] = byte
    count += 1
  }

  func put(_ number: Int64) {
    reserve()
    var value = number.magnitude
    var digits = 1
    var rest = value / 10
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    if number < 0 {
      base[count] = UInt8(ascii: "-")
      count += 1
    }
    for place in stride(from: digits - 1, through: 0, by: -1) {
      base[count + place] = UInt8(ascii: "0") + UInt8(value % 10)
      value /= 10
    }
    count += digits
  }

  func put(_ number: Int) { put(Int64(number)) }

  func put(unsigned number: UInt64) {
    if number <= UInt64(Int64.max) { put(Int64(number)) } else { put(text: String(number)) }
  }

  /// With a `0x` before them.
  func put(hex value: UInt64, digits: Int) {
    reserve()
    base[count] = UInt8(ascii: "0")
    base[count + 1] = UInt8(ascii: "x")
    count += 2
    for place in stride(from: digits - 1, through: 0, by: -1) {
      base[count] = Self.digit(UInt8(value >> UInt64(4 * place) & 0xF))
      count += 1
    }
  }

  @inline(__always)
  static func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }

  /// Two digits for each byte.
  func put(hex bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      reserve()
      base[count] = Self.digit(byte >> 4)
      base[count + 1] = Self.digit(byte & 0xF)
      count += 2
    }
  }

  private func put(padded value: Int, _ digits: Int) {
    var rest = value
    for place in stride(from: digits - 1, through: 0, by: -1) {
      base[count + place] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    count += digits
  }

  /// Milliseconds since 1970 as `2026-01-31T11:00:15.123Z`; what no year of four digits can hold as a number.
  func put(time milliseconds: Int64) {
    reserve()
    guard (0..<253_402_300_800_000).contains(milliseconds) else { return put(milliseconds) }
    let (days, rest) = (milliseconds / 86_400_000, Int(milliseconds % 86_400_000))
    let (year, month, day) = Self.date(days)
    put(padded: year, 4)
    put(byte: UInt8(ascii: "-"))
    put(padded: month, 2)
    put(byte: UInt8(ascii: "-"))
    put(padded: day, 2)
    put(byte: UInt8(ascii: "T"))
    put(padded: rest / 3_600_000, 2)
    put(byte: UInt8(ascii: ":"))
    put(padded: rest / 60_000 % 60, 2)
    put(byte: UInt8(ascii: ":"))
    put(padded: rest / 1000 % 60, 2)
    put(byte: UInt8(ascii: "."))
    put(padded: rest % 1000, 3)
    put(byte: UInt8(ascii: "Z"))
  }

  /// The date of a day that is counted from 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  static func date(_ days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = Int(days) + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  /// As it stands between the quotes of a JSON string. Control characters are escaped, those of C1 too.
  func put(json text: String) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        put(byte: UInt8(ascii: "\\"))
        put(byte: UInt8(scalar.value))
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}", "\u{202A}"..."\u{202E}":
        put("\\u")
        for place in [12, 8, 4, 0] { put(byte: Self.digit(UInt8(scalar.value >> UInt32(place) & 0xF))) }
      default: for byte in UTF8.encode(scalar)! { put(byte: byte) }  // every scalar has an encoding
      }
    }
  }

  /// As text, control characters escaped as in JSON.
  public func put(text: String) { put(json: text) }

  public func endLine() { put(byte: UInt8(ascii: "\n")) }
}
