/// A moment in nanoseconds on a clock that never goes back: the machine's monotonic clock for real storage,
/// a virtual clock that starts at 0 for `MemoryStorage`.
public struct Instant: Hashable, Comparable, Sendable, Codable {
  public var nanoseconds: Int64

  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public init(from decoder: any Decoder) throws {
    nanoseconds = try decoder.singleValueContainer().decode(Int64.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(nanoseconds)
  }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
  @inlinable public static func + (a: Self, b: Duration) -> Self { Self(nanoseconds: a.nanoseconds + b.nanoseconds) }
  @inlinable public static func - (a: Self, b: Duration) -> Self { Self(nanoseconds: a.nanoseconds - b.nanoseconds) }
  @inlinable public static func - (a: Self, b: Self) -> Duration { .nanoseconds(a.nanoseconds - b.nanoseconds) }
}

extension Duration {
  /// The whole duration in nanoseconds; good for ±292 years.
  @inlinable public var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  @inlinable public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
