import Glibc

/// What stands for one page of a file.
struct PageEntry: Equatable {
  var bits: UInt

  /// Nothing: reads as zeros and takes no room.
  static let hole = PageEntry(bits: 0)
  /// Room without content (`man 2 fallocate`): reads as zeros, counts as a block, and is a hole to SEEK_DATA.
  static let reserved = PageEntry(bits: 2)

  /// A page of the pool's, which may be written to.
  static func own(_ page: UnsafeMutableRawPointer) -> PageEntry { PageEntry(bits: UInt(bitPattern: page)) }
  /// Bytes of the trace's, which stay as they are. The address is even.
  static func shared(_ bytes: UnsafeRawPointer) -> PageEntry { PageEntry(bits: UInt(bitPattern: bytes) | 1) }

  var isHole: Bool { bits == 0 }
  var hasContent: Bool { bits > 2 }
  var isOwn: Bool { bits > 2 && bits & 1 == 0 }
  /// Where the page's bytes are; only of one with content.
  var address: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: bits & ~1)! }
}

/// The pages of a file by number, in leaves of 512: a file of 16 TiB with one byte costs 4 KiB and its list of leaves.
struct PageTable {
  static let leafSize = 512

  private var leaves: UnsafeMutablePointer<UnsafeMutablePointer<UInt>?>?
  private var capacity = 0

  subscript(_ page: Int) -> PageEntry {
    get {
      let leaf = page / Self.leafSize
      guard leaf < capacity, let entries = leaves![leaf] else { return .hole }
      return PageEntry(bits: entries[page % Self.leafSize])
    }
    set {
      let leaf = page / Self.leafSize
      if leaf >= capacity {
        if newValue.isHole { return }
        grow(to: leaf + 1)
      }
      if let entries = leaves![leaf] {
        entries[page % Self.leafSize] = newValue.bits
      } else if !newValue.isHole {
        let entries = UnsafeMutablePointer<UInt>.allocate(capacity: Self.leafSize)
        entries.initialize(repeating: 0, count: Self.leafSize)
        entries[page % Self.leafSize] = newValue.bits
        leaves![leaf] = entries
      }
    }
  }

  /// The first page from `page` on, below `end`, that may be something; the others are holes.
  func skipHoles(from page: Int, to end: Int) -> Int {
    var page = page
    while page < end {
      let leaf = page / Self.leafSize
      if leaf >= capacity { return end }
      if let entries = leaves![leaf] {
        let stop = min(end, (leaf + 1) * Self.leafSize)
        while page < stop {
          if entries[page % Self.leafSize] != 0 { return page }
          page += 1
        }
      } else {
        page = (leaf + 1) * Self.leafSize
      }
    }
    return end
  }

  private mutating func grow(to count: Int) {
    let wanted = max(count, capacity * 2, 4)
    let made = UnsafeMutablePointer<UnsafeMutablePointer<UInt>?>.allocate(capacity: wanted)
    made.initialize(repeating: nil, count: wanted)
    if let leaves {
      made.update(from: leaves, count: capacity)
      leaves.deallocate()
    }
    leaves = made
    capacity = wanted
  }

  /// Gives the lists back; what they name is the caller's.
  mutating func deallocate() {
    for leaf in 0..<capacity { leaves![leaf]?.deallocate() }
    leaves?.deallocate()
    leaves = nil
    capacity = 0
  }
}
