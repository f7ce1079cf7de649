import Glibc

/// The bytes of one file: pages that are its own, pages that it shares with the trace, and holes.
final class FileContent {
  /// The largest size, that of ext4 with blocks of 4 KiB (`man 5 ext4`, 16 TiB less one block).
  static let largestSize: UInt64 = (1 << 44) - 4096

  /// Bytes.
  private(set) var size: UInt64 = 0
  /// Pages that take room: with content, and reserved.
  private(set) var pages = 0

  private var table = PageTable()
  private let pool: PagePool

  init(_ pool: PagePool) { self.pool = pool }

  deinit {
    clear(0, Int.max)
    table.deallocate()
  }

  private static let pageSize = PagePool.pageSize
  private static func page(_ offset: UInt64) -> Int { Int(offset / UInt64(pageSize)) }
  /// The page after the last that `offset` bytes touch.
  private static func pageEnd(_ offset: UInt64) -> Int { Int((offset + UInt64(pageSize) - 1) / UInt64(pageSize)) }

  /// Pages from the first to the end of the file's last that may hold something.
  private var endOfPages: Int { max(Self.pageEnd(size), reservedEnd) }
  /// Reservations may lie beyond the size (FALLOC_FL_KEEP_SIZE).
  private var reservedEnd = 0

  private func put(_ entry: PageEntry, at page: Int) {
    let old = table[page]
    if old.isOwn { pool.give(old.address) }
    pages += (entry.isHole ? 0 : 1) - (old.isHole ? 0 : 1)
    table[page] = entry
  }

  /// The page's own bytes, made where it has none; nil where there is no memory.
  private func ownPage(_ page: Int, keeping: Bool = true) -> UnsafeMutableRawPointer? {
    let old = table[page]
    if old.isOwn { return old.address }
    guard let made = pool.take() else { return nil }
    if keeping {
      if old.hasContent {
        made.copyMemory(from: old.address, byteCount: Self.pageSize)
      } else {
        memset(made, 0, Self.pageSize)
      }
    }
    if old.isHole { pages += 1 }
    table[page] = .own(made)
    return made
  }

  // MARK: Bytes

  /// Stores bytes, and grows the file where they end beyond it.
  /// - Parameter isShared: they stay where they are, unchanged: whole pages are not copied.
  /// - Returns: how many were stored: fewer than asked where there is no memory.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, isShared: Bool) -> Int {
    var done = 0
    while done < bytes.count {
      let at = offset + UInt64(done)
      let page = Self.page(at)
      let start = Int(at % UInt64(Self.pageSize))
      let count = min(Self.pageSize - start, bytes.count - done)
      let source = bytes.baseAddress! + done
      if isShared, count == Self.pageSize, UInt(bitPattern: source) & 1 == 0 {
        put(.shared(source), at: page)
      } else {
        guard let own = ownPage(page, keeping: count < Self.pageSize) else { break }
        (own + start).copyMemory(from: source, byteCount: count)
      }
      done += count
    }
    if done > 0 { size = max(size, offset + UInt64(done)) }
    return done
  }

  /// Brings bytes; fewer than asked where the file ends.
  func read(_ into: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    guard offset < size else { return 0 }
    let count = Int(min(UInt64(into.count), size - offset))
    var done = 0
    while done < count {
      let at = offset + UInt64(done)
      let start = Int(at % UInt64(Self.pageSize))
      let part = min(Self.pageSize - start, count - done)
      let entry = table[Self.page(at)]
      if entry.hasContent {
        memcpy(into.baseAddress! + done, entry.address + start, part)
      } else {
        memset(into.baseAddress! + done, 0, part)
      }
      done += part
    }
    return count
  }

  /// Pages of the range that would take room that they do not take now.
  func missingPages(from offset: UInt64, count: UInt64) -> Int {
    var missing = 0
    for page in Self.page(offset)..<Self.pageEnd(offset + count) where table[page].isHole { missing += 1 }
    return missing
  }

  // MARK: Sizes and ranges

  /// Cuts or grows the file; what a later growth shows beyond a cut is zeros.
  func truncate(to newSize: UInt64) -> Bool {
    if newSize < size || reservedEnd > Self.pageEnd(newSize) {
      let rest = Int(newSize % UInt64(Self.pageSize))
      if newSize < size, rest > 0, table[Self.page(newSize)].hasContent {
        guard let own = ownPage(Self.page(newSize)) else { return false }
        memset(own + rest, 0, Self.pageSize - rest)
      }
      clear(Self.pageEnd(newSize), Int.max)
      reservedEnd = min(reservedEnd, Self.pageEnd(newSize))
    }
    size = newSize
    return true
  }

  private func clear(_ first: Int, _ end: Int) {
    let end = min(end, endOfPages)
    var page = table.skipHoles(from: first, to: end)
    while page < end {
      put(.hole, at: page)
      page = table.skipHoles(from: page + 1, to: end)
    }
  }

  /// Takes room for a range that has none (`man 2 fallocate`, mode 0). What is there stays.
  func reserve(from offset: UInt64, count: UInt64, keepsSize: Bool) {
    for page in Self.page(offset)..<Self.pageEnd(offset + count) where table[page].isHole { put(.reserved, at: page) }
    reservedEnd = max(reservedEnd, Self.pageEnd(offset + count))
    if !keepsSize { size = max(size, offset + count) }
  }

  /// Makes a range zeros: whole pages become holes, or reserved ones (FALLOC_FL_ZERO_RANGE).
  func zero(from offset: UInt64, count: UInt64, reserving: Bool, keepsSize: Bool) -> Bool {
    let end = offset + count
    let inner = Self.pageEnd(offset)..<max(Self.page(end), Self.pageEnd(offset))
    var at = offset
    while at < end {
      let page = Self.page(at)
      if inner.contains(page) {
        at = UInt64(inner.upperBound) * UInt64(Self.pageSize)
        continue
      }
      let start = Int(at % UInt64(Self.pageSize))
      let part = min(UInt64(Self.pageSize - start), end - at)
      if table[page].hasContent {
        guard let own = ownPage(page) else { return false }
        memset(own + start, 0, Int(part))
      }
      at += part
    }
    if reserving {
      for page in inner { put(.reserved, at: page) }
      reserve(from: offset, count: count, keepsSize: keepsSize)
    } else {
      clear(inner.lowerBound, inner.upperBound)
    }
    return true
  }

  /// `man 2 lseek`: the next offset with content, or of a hole (the end counts as one); nil is ENXIO.
  func seek(from offset: UInt64, data: Bool) -> UInt64? {
    guard offset < size else { return nil }
    let end = Self.pageEnd(size)
    var page = Self.page(offset)
    if data {
      page = table.skipHoles(from: page, to: end)
      while page < end, !table[page].hasContent { page = table.skipHoles(from: page + 1, to: end) }
      return page < end ? max(offset, UInt64(page) * UInt64(Self.pageSize)) : nil
    }
    while page < end, table[page].hasContent { page += 1 }
    return page < end ? max(offset, UInt64(page) * UInt64(Self.pageSize)) : size
  }
}
