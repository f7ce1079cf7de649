import Glibc

/// Segments of volumes that are gone, for the next ones: memory that was touched once need not be found again.
final class SegmentReserve: @unchecked Sendable {
  static let shared = SegmentReserve()

  /// Segments that are kept at the most: 512 MiB.
  private static let capacity = 32

  private let lock = VolumeLock()
  private var segments: [UnsafeMutableRawPointer] = []

  func take() -> UnsafeMutableRawPointer? { lock.holding { segments.popLast() } }

  func give(_ segment: UnsafeMutableRawPointer) {
    let isKept = lock.holding { () -> Bool in
      guard segments.count < Self.capacity else { return false }
      segments.append(segment)
      return true
    }
    if !isKept { munmap(segment, VolumeMemory.segmentSize) }
  }
}
