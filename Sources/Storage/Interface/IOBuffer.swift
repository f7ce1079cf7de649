import Glibc

/// Memory that operations read from and write to: aligned to 4096 bytes, zero at first, freed with the object.
///
/// Whoever starts an operation on a buffer leaves the range alone until the operation completes; the storage
/// keeps the buffer alive until then.
public final class IOBuffer: @unchecked Sendable {
  // Owned by the loop of the storage that made it; between operations by whoever holds it there.

  public static let alignment = 4096

  public let base: UnsafeMutableRawPointer
  /// In bytes, a multiple of `alignment`.
  public let capacity: Int
  /// The buffer's place in the device's table of registered buffers, or -1.
  let registration: Int32
  private let recycle: (@Sendable (UnsafeMutableRawPointer, Int, Int32) -> Void)?

  /// From so many bytes on the memory is the kernel's own: it is zero already, and pages that are never touched take no
  /// room. Below, an allocator is faster.
  private static let mappedFrom = 64 << 10

  public convenience init(capacity: Int) {
    let rounded = (max(capacity, 1) + Self.alignment - 1) / Self.alignment * Self.alignment
    if rounded >= Self.mappedFrom {
      let memory = mmap(nil, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let memory, memory != MAP_FAILED else { Self.fail(rounded) }
      self.init(base: memory, capacity: rounded, registration: -1, recycle: nil)
      return
    }
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, Self.alignment, rounded) == 0, let memory else { Self.fail(rounded) }
    memset(memory, 0, rounded)
    self.init(base: memory, capacity: rounded, registration: -1, recycle: nil)
  }

  private static func fail(_ bytes: Int) -> Never { fatalError("out of memory: \(bytes) bytes for an I/O buffer") }

  init(
    base: UnsafeMutableRawPointer, capacity: Int, registration: Int32,
    recycle: (@Sendable (UnsafeMutableRawPointer, Int, Int32) -> Void)?
  ) {
    self.base = base
    self.capacity = capacity
    self.registration = registration
    self.recycle = recycle
  }

  deinit {
    if let recycle {
      recycle(base, capacity, registration)
    } else if capacity >= Self.mappedFrom {
      munmap(base, capacity)
    } else {
      free(base)
    }
  }

  @inlinable public subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
    assert(range.lowerBound >= 0 && range.upperBound <= capacity)
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  @inlinable public func mutableBytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    assert(range.lowerBound >= 0 && range.upperBound <= capacity)
    return UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }
}
