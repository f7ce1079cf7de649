/// What a power cut may leave of what was not synced: the freedom that a storage's promises leave it.
///
/// | profile | not-synced sector | not-synced size | not-synced directory entry |
/// |---|---|---|---|
/// | `dropUnsynced` | old | old | old |
/// | `posixMinimal` | old or new, each by itself | old or new | old or new, each name by itself |
///
/// In every profile:
/// 1. A sector of 512 bytes is old or new, never a mix.
/// 2. What a *completed* durable write or a completed sync covers is kept.
/// 3. Of a durable write or a sync that is in flight when power goes, any set of sectors (and the size, and the
///    entries) may have reached the medium.
/// 4. Bytes beyond the size that was kept are gone; a sector inside it that was never written reads as zero.
///
/// Sources: POSIX.1-2024 `fsync` (nothing is promised before it returns); `man 2 fsync` (the directory entry needs
/// a sync of its own); Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014 (sizes, sectors and
/// entries persist in any order).
public struct PersistenceProfile: Hashable, Sendable {
  public enum Fate: UInt8, Hashable, Sendable {
    /// As it was when it was last made durable.
    case old
    /// As it was made durable, or as it was last seen, by the seed.
    case oldOrNew
  }

  public var name: String
  public var sectors: Fate
  public var sizes: Fate
  public var entries: Fate

  public init(name: String, sectors: Fate, sizes: Fate, entries: Fate) {
    self.name = name
    self.sectors = sectors
    self.sizes = sizes
    self.entries = entries
  }

  /// The unit of atomic persistence in bytes.
  public static let sectorSize = 512

  /// Exactly what was made durable: the reading of the runbooks, "what was not synced is gone".
  public static let dropUnsynced = PersistenceProfile(
    name: "drop-unsynced", sectors: .old, sizes: .old, entries: .old)
  /// Everything that POSIX permits short of tearing a sector.
  public static let posixMinimal = PersistenceProfile(
    name: "posix-minimal", sectors: .oldOrNew, sizes: .oldOrNew, entries: .oldOrNew)
}
