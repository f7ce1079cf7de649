import Glibc

/// The room on the disk that the logs and archives stand on.
public struct DiskMetrics: Sendable {
  /// `disk_total_bytes`
  public let total: Gauge
  /// `disk_free_bytes`: what may still be written by those who are not root.
  public let free: Gauge

  public init(in registry: MetricRegistry) {
    total = registry.gauge(
      MetricFamilyName("disk_total_bytes", unit: "bytes"), help: "Size of the file system of the logs and archives.")
    free = registry.gauge(
      MetricFamilyName("disk_free_bytes", unit: "bytes"), help: "What may still be written there without privileges.")
  }

  /// Why the room could not be found out.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var errno: Int32

    public var description: String { "cannot find out the room at \(path): \(String(cString: strerror(errno)))" }
  }

  /// Asks the file system that holds `path` (`man 3 statvfs`).
  public func measure(_ path: String) throws(Failure) {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw Failure(path: path, errno: Glibc.errno) }
    total.set(UInt64(status.f_frsize) * UInt64(status.f_blocks))
    free.set(UInt64(status.f_frsize) * UInt64(status.f_bavail))
  }
}
