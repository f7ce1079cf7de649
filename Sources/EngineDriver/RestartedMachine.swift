import Storage

/// Files of a machine of which nobody knows whether it has lost its power.
///
/// The engine reads from the boot's number whether the page cache is still what its files were written through
/// (`/proc/sys/kernel/random/boot_id`). Where a power cut is simulated, below a program that goes on, that number stays
/// the same, and would tell the engine that nothing was lost.
final class RestartedMachine: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override var properties: StorageProperties {
    var properties = super.properties
    properties.bootID = 0
    return properties
  }
}
