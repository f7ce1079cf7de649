/// How long operations of the model take, in virtual nanoseconds: each draws from its range by the seed.
public struct MemoryLatency: Hashable, Sendable {
  public var read: ClosedRange<Int64>
  public var write: ClosedRange<Int64>
  public var durableWrite: ClosedRange<Int64>
  public var sync: ClosedRange<Int64>
  /// Open, size, truncate, rename, unlink, list, makeDirectory; syncDirectory takes as long as a sync.
  public var names: ClosedRange<Int64>

  public init(
    read: ClosedRange<Int64>, write: ClosedRange<Int64>, durableWrite: ClosedRange<Int64>, sync: ClosedRange<Int64>,
    names: ClosedRange<Int64>
  ) {
    self.read = read
    self.write = write
    self.durableWrite = durableWrite
    self.sync = sync
    self.names = names
  }

  /// A fast disk behind a page cache.
  public static let disk = MemoryLatency(
    read: 5_000...20_000, write: 20_000...80_000, durableWrite: 40_000...400_000, sync: 100_000...2_000_000,
    names: 5_000...50_000)
  /// Every operation completes in place, without suspension: nothing is ever in flight.
  public static let zero = MemoryLatency(read: 0...0, write: 0...0, durableWrite: 0...0, sync: 0...0, names: 0...0)
}
