import Glibc

/// What everything that a volume holds is cut from: segments, first of plain memory, and beyond a limit of an unlinked
/// file, mapped. A mapped file's pages are the page cache's: the kernel writes them out and drops them when memory is
/// short (`man 2 mmap`, MAP_SHARED). Addresses never change, nothing goes back before the end, and a new segment
/// holds anything.
final class VolumeMemory {
  /// Bytes of a segment.
  static let segmentSize = 16 << 20

  /// Bytes of plain memory, and of the file, that are in use as segments.
  private(set) var resident = 0
  private(set) var spilled = 0
  /// The errno of the last segment that could not be had: the machine is at its limit.
  private(set) var refusal: Int32 = 0

  private let limit: Int
  private let folder: String
  private var file: Int32 = -1
  private var plainSegments: [UnsafeMutableRawPointer] = []
  private var mappedSegments: [UnsafeMutableRawPointer] = []
  /// Plain segments that nobody has asked for yet.
  private var ready: [UnsafeMutableRawPointer] = []

  /// - Parameters:
  ///   - limit: bytes of plain memory; what is beyond goes to the file.
  ///   - folder: where the file is made, and unlinked at once.
  init(limit: Int, folder: String) {
    self.limit = limit
    self.folder = folder
  }

  deinit {
    for segment in mappedSegments { munmap(segment, Self.segmentSize) }
    for segment in plainSegments + ready { SegmentReserve.shared.give(segment) }
    if file >= 0 { close(file) }
  }

  /// One more segment, or nil where neither memory nor the file has room.
  func segment() -> UnsafeMutableRawPointer? {
    let isPlain = resident + Self.segmentSize <= limit
    guard let made = isPlain ? plain() : mapped() else {
      refusal = errno
      return nil
    }
    if isPlain {
      resident += Self.segmentSize
      plainSegments.append(made)
    } else {
      spilled += Self.segmentSize
      mappedSegments.append(made)
    }
    return made
  }

  /// Has so many bytes of plain memory ready, so that no operation waits for the machine to find them: the first
  /// touch of memory runs at a few hundred MB/s in a virtual machine that gives what is free back to its host.
  func prepare(_ bytes: Int) {
    while (ready.count + 1) * Self.segmentSize <= min(bytes, limit), let made = SegmentReserve.shared.take() ?? map() {
      // `man 2 madvise`, Linux 5.14; older kernels refuse, and the first touch comes later.
      madvise(made, Self.segmentSize, MADV_POPULATE_WRITE)
      ready.append(made)
    }
  }

  private func plain() -> UnsafeMutableRawPointer? {
    if let made = ready.popLast() ?? SegmentReserve.shared.take() { return made }
    return map()
  }

  private func map() -> UnsafeMutableRawPointer? {
    let made = mmap(nil, Self.segmentSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let made, made != MAP_FAILED else { return nil }
    // Large pages: one fault for each 2 MiB, not for each 4 KiB. A hint; its failure changes nothing.
    madvise(made, Self.segmentSize, MADV_HUGEPAGE)
    return made
  }

  private func mapped() -> UnsafeMutableRawPointer? {
    if file < 0 {
      let path = folder + "/tornlog-volume-\(getpid())-\(UInt64.random(in: 0 ... .max))"
      file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      guard file >= 0 else { return nil }
      unlink(path)
    }
    // Room is taken first: a store to a mapped hole of a full disk is SIGBUS.
    let code = posix_fallocate(file, off_t(spilled), off_t(Self.segmentSize))
    guard code == 0 else {
      errno = code
      return nil
    }
    let made = mmap(nil, Self.segmentSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, off_t(spilled))
    guard let made, made != MAP_FAILED else { return nil }
    return made
  }
}
