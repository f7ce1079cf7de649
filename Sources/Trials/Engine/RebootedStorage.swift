import Storage

/// Files of a machine that has lost its power before, in a trial: their storage is of another boot than the one that
/// wrote them, though the real machine has gone on.
final class RebootedStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let boots: UInt32

  /// - Parameter boots: power losses so far.
  init(_ base: any Storage, boots: UInt32) {
    self.boots = boots
    super.init(base)
  }

  override var properties: StorageProperties {
    var properties = super.properties
    properties.bootID &+= boots
    return properties
  }
}
