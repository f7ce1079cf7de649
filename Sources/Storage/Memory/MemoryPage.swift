import Glibc

/// 4096 bytes of file content, shared by reference between the settled and the durable image of a file and between
/// a disk and its snapshots. Written in place only by whoever holds the single reference to it.
final class MemoryPage: ManagedBuffer<Void, UInt64> {
  static let size = 4096
  static let shift = 12

  /// A page whose bytes are not set.
  static func uninitialized() -> MemoryPage {
    unsafeDowncast(create(minimumCapacity: size / 8) { _ in () }, to: MemoryPage.self)
  }

  static func zero() -> MemoryPage {
    let page = uninitialized()
    memset(page.bytes, 0, size)
    return page
  }

  func copy() -> MemoryPage {
    let page = Self.uninitialized()
    memcpy(page.bytes, bytes, Self.size)
    return page
  }

  /// Valid while the page is referenced.
  var bytes: UnsafeMutableRawPointer {
    withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }
  }

  /// Whether `count` bytes at `offset` are the same in both; nil stands for zeros.
  static func equal(_ a: MemoryPage?, _ b: MemoryPage?, at offset: Int, count: Int) -> Bool {
    switch (a, b) {
    case (nil, nil): true
    case (let a?, let b?): a === b || memcmp(a.bytes + offset, b.bytes + offset, count) == 0
    case (let page?, nil), (nil, let page?): isZero(page.bytes + offset, count)
    }
  }
}

/// Whether every byte is zero.
func isZero(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
  guard count > 0 else { return true }
  return bytes.load(as: UInt8.self) == 0 && memcmp(bytes, bytes + 1, count - 1) == 0
}
