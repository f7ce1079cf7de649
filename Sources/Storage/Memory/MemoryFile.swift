import Glibc

/// The content of one file in two images: *settled*, what every completed operation has made of it, and *durable*,
/// what survives a power cut. Where the images agree they share the page.
///
/// Invariants:
/// 1. `slots[i].listed` if and only if `i` is in `dirty`; a slot whose images differ is listed.
/// 2. Bytes of either image beyond its size are zero.
final class MemoryFile {
  struct Slot {
    /// Nil: 4096 zeros.
    var settled: MemoryPage?
    var durable: MemoryPage?
    var listed = false
    /// The page counts as written back although it was not: no sync covers it until it is written again. Says nothing
    /// where the images agree.
    var isAbandoned = false
    var isClean: Bool { settled === durable }
  }

  enum Image { case settled, both }

  private(set) var slots: [Slot] = []
  private(set) var dirty: [Int] = []
  private(set) var settledSize: Int64 = 0
  private(set) var durableSize: Int64 = 0
  /// Pages that the settled image holds: what the file occupies.
  private(set) var settledPages = 0
  /// Whether a visible directory entry names it.
  var isLinked = false
  var openCount = 0

  init() {}

  func clone() -> MemoryFile {
    let file = MemoryFile()
    file.slots = slots
    file.dirty = dirty
    file.settledSize = settledSize
    file.durableSize = durableSize
    file.settledPages = settledPages
    file.isLinked = isLinked
    file.openCount = openCount
    return file
  }

  var isVolatile: Bool { settledSize != durableSize || dirty.contains { !slots[$0].isClean } }

  // MARK: Writing

  func write(_ source: UnsafeRawPointer, _ count: Int, at offset: Int64, to image: Image) {
    guard count > 0 else { return }
    let end = Int(offset) + count
    reserveSlots(for: end)
    var at = Int(offset)
    var from = source
    while at < end {
      let inPage = at & (MemoryPage.size - 1)
      let n = min(MemoryPage.size - inPage, end - at)
      writePage(at >> MemoryPage.shift, from, inPage, n, image)
      at += n
      from += n
    }
    settledSize = max(settledSize, Int64(end))
    if image == .both { durableSize = max(durableSize, Int64(end)) }
  }

  private func reserveSlots(for end: Int) {
    let needed = (end + MemoryPage.size - 1) >> MemoryPage.shift
    guard needed > slots.count else { return }
    if needed > slots.capacity { slots.reserveCapacity(max(needed, slots.count * 2, 8)) }
    while slots.count < needed { slots.append(Slot()) }
  }

  private func writePage(_ i: Int, _ source: UnsafeRawPointer, _ inPage: Int, _ n: Int, _ image: Image) {
    if slots[i].settled == nil { settledPages += 1 }
    switch image {
    case .settled:
      if slots[i].isClean { list(i) }
      slots[i].isAbandoned = false
      Self.put(source, inPage, n, into: &slots[i].settled)
    case .both where slots[i].isClean:
      // The one reference is moved out of both images, so that a page of its own is written in place.
      var page = slots[i].settled.take()
      slots[i].durable = nil
      Self.put(source, inPage, n, into: &page)
      slots[i].settled = page
      slots[i].durable = page
    case .both where n == MemoryPage.size:
      Self.put(source, inPage, n, into: &slots[i].settled)
      slots[i].durable = slots[i].settled
    case .both:
      Self.put(source, inPage, n, into: &slots[i].settled)
      Self.put(source, inPage, n, into: &slots[i].durable)
    }
  }

  /// Writes into `page`, which becomes a copy first where somebody else refers to it.
  static func put(_ source: UnsafeRawPointer, _ inPage: Int, _ n: Int, into page: inout MemoryPage?) {
    if page == nil {
      let new = MemoryPage.uninitialized()
      if inPage > 0 { memset(new.bytes, 0, inPage) }
      if inPage + n < MemoryPage.size { memset(new.bytes + inPage + n, 0, MemoryPage.size - inPage - n) }
      page = new
    } else if !isKnownUniquelyReferenced(&page) {
      page = n == MemoryPage.size ? MemoryPage.uninitialized() : page!.copy()
    }
    memcpy(page!.bytes + inPage, source, n)
  }

  private func list(_ i: Int) {
    guard !slots[i].listed else { return }
    slots[i].listed = true
    dirty.append(i)
  }

  /// Cuts or extends the settled image.
  func truncate(to size: Int64) {
    if size < settledSize {
      let end = min(Int(settledSize - 1) >> MemoryPage.shift + 1, slots.count)
      for i in stride(from: Int(size) >> MemoryPage.shift, to: end, by: 1) { slots[i].isAbandoned = false }
      let kept = (Int(size) + MemoryPage.size - 1) >> MemoryPage.shift
      for i in min(kept, slots.count)..<slots.count where slots[i].settled != nil {
        if slots[i].isClean { list(i) }
        slots[i].settled = nil
        settledPages -= 1
      }
      let inPage = Int(size) & (MemoryPage.size - 1)
      if inPage > 0, kept <= slots.count, slots[kept - 1].settled != nil {
        if slots[kept - 1].isClean { list(kept - 1) }
        Self.zeroTail(from: inPage, of: &slots[kept - 1].settled)
      }
    }
    settledSize = size
  }

  private static func zeroTail(from inPage: Int, of page: inout MemoryPage?) {
    guard page != nil else { return }
    if !isKnownUniquelyReferenced(&page) { page = page!.copy() }
    memset(page!.bytes + inPage, 0, MemoryPage.size - inPage)
  }

  /// Cuts or extends both images.
  func truncateBoth(to size: Int64) {
    truncate(to: size)
    let kept = (Int(size) + MemoryPage.size - 1) >> MemoryPage.shift
    for i in min(kept, slots.count)..<slots.count { slots[i].durable = nil }
    let inPage = Int(size) & (MemoryPage.size - 1)
    if inPage > 0, kept <= slots.count { Self.zeroTail(from: inPage, of: &slots[kept - 1].durable) }
    durableSize = size
  }

  // MARK: Reading

  func page(_ i: Int) -> MemoryPage? { i < slots.count ? slots[i].settled : nil }

  /// Copies settled bytes; zeros where there are none.
  func read(_ target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64) {
    var at = Int(offset)
    let end = at + count
    var to = target
    while at < end {
      let inPage = at & (MemoryPage.size - 1)
      let n = min(MemoryPage.size - inPage, end - at)
      if let page = page(at >> MemoryPage.shift) { memcpy(to, page.bytes + inPage, n) } else { memset(to, 0, n) }
      at += n
      to += n
    }
  }

  /// Inverts one bit of both images, where they reach that far.
  func flip(byte: Int64, bit: Int) {
    let i = Int(byte) >> MemoryPage.shift
    let inPage = Int(byte) & (MemoryPage.size - 1)
    guard i < slots.count else { return }
    let shared = slots[i].isClean
    func flipped(_ page: MemoryPage?) -> MemoryPage {
      let copy = page?.copy() ?? MemoryPage.zero()
      let at = copy.bytes + inPage
      at.storeBytes(of: at.load(as: UInt8.self) ^ (1 << UInt8(bit)), as: UInt8.self)
      return copy
    }
    if slots[i].settled == nil, byte < settledSize { settledPages += 1 }
    if byte < settledSize { slots[i].settled = flipped(slots[i].settled) }
    if shared, byte < settledSize, byte < durableSize {
      slots[i].durable = slots[i].settled
    } else if byte < durableSize {
      slots[i].durable = flipped(slots[i].durable)
    }
    if !slots[i].isClean { list(i) }
  }

  // MARK: Durability

  /// What a sync covers: the volatile pages as they were when it was submitted.
  final class Capture {
    var pages: [(index: Int, page: MemoryPage?)]
    var size: Int64

    init(pages: [(index: Int, page: MemoryPage?)], size: Int64) {
      self.pages = pages
      self.size = size
    }

    func clone() -> Capture { Capture(pages: pages, size: size) }

    /// A durable write has completed meanwhile: when the sync completes it must not undo it.
    func patch(_ source: UnsafeRawPointer, _ count: Int, at offset: Int64) {
      let end = Int(offset) + count
      size = max(size, Int64(end))
      for k in pages.indices {
        let start = pages[k].index << MemoryPage.shift
        let from = max(start, Int(offset))
        let to = min(start + MemoryPage.size, end)
        guard from < to else { continue }
        MemoryFile.put(source + (from - Int(offset)), from - start, to - from, into: &pages[k].page)
      }
    }
  }

  func capture() -> Capture {
    var pages: [(index: Int, page: MemoryPage?)] = []
    pages.reserveCapacity(dirty.count)
    for i in dirty where !slots[i].isClean && !slots[i].isAbandoned { pages.append((i, slots[i].settled)) }
    return Capture(pages: pages, size: settledSize)
  }

  /// Volatile pages that `range` touches are not covered by any sync that is submitted from now on, until they are
  /// written again.
  func abandon(_ range: Range<Int64>) {
    for i in dirty where !slots[i].isClean {
      let start = Int64(i << MemoryPage.shift)
      if range.overlaps(start..<start + Int64(MemoryPage.size)) { slots[i].isAbandoned = true }
    }
  }

  /// The sync that captured is complete. A page whose images agree by now is newer than the captured one.
  func apply(_ capture: Capture) {
    for (i, page) in capture.pages where !slots[i].isClean { slots[i].durable = page }
    durableSize = capture.size
    relist()
  }

  private func relist() {
    for i in dirty { slots[i].listed = false }
    dirty.removeAll { slots[$0].isClean }
    for i in dirty { slots[i].listed = true }
  }

  // MARK: Crash

  /// Puts sectors of `source` at `offset` into the durable image, where `keeps` says so, and sizes aside. With `both`
  /// also into the settled one: they are newer than what stands there.
  /// - Returns: how many sectors there were, and how many were kept.
  func persistSectors(
    _ source: UnsafeRawPointer, _ count: Int, at offset: Int64, both: Bool = false, keeps: () -> Bool
  ) -> (kept: Int, of: Int) {
    guard count > 0 else { return (0, 0) }
    let sector = PersistenceProfile.sectorSize
    let end = Int(offset) + count
    reserveSlots(for: end)
    var (kept, total) = (0, 0)
    var at = Int(offset)
    while at < end {
      let n = min(sector - at % sector, end - at)
      if keeps() {
        let i = at >> MemoryPage.shift
        list(i)
        Self.put(source + (at - Int(offset)), at & (MemoryPage.size - 1), n, into: &slots[i].durable)
        if both { Self.put(source + (at - Int(offset)), at & (MemoryPage.size - 1), n, into: &slots[i].settled) }
        kept += 1
      }
      total += 1
      at += n
    }
    return (kept, total)
  }

  /// The size that an operation in flight would have given has reached the medium.
  func persistSize(_ size: Int64, both: Bool = false) {
    durableSize = size
    if both { settledSize = max(settledSize, size) }
  }

  /// Resolves each volatile sector: `keepsNew` is asked once for each that differs, in ascending order, and
  /// `lost` is told those that stay old. Then the file is what is durable, cut to `size`.
  func resolve(size: Int64, keepsNew: () -> Bool, lost: (Range<Int64>) -> Void) {
    dirty.sort()
    for i in dirty where !slots[i].isClean {
      let (settled, durable) = (slots[i].settled, slots[i].durable)
      for start in stride(from: 0, to: MemoryPage.size, by: PersistenceProfile.sectorSize) {
        let n = PersistenceProfile.sectorSize
        if MemoryPage.equal(settled, durable, at: start, count: n) { continue }
        let position = Int64(i << MemoryPage.shift + start)
        if keepsNew() && position < size && !slots[i].isAbandoned {
          if let settled {
            Self.put(settled.bytes + start, start, n, into: &slots[i].durable)
          } else {
            withUnsafeTemporaryAllocation(byteCount: n, alignment: 8) { zeros in
              memset(zeros.baseAddress!, 0, n)
              Self.put(zeros.baseAddress!, start, n, into: &slots[i].durable)
            }
          }
        } else if position < settledSize {
          lost(position..<min(position + Int64(n), settledSize))
        }
      }
    }
    becomeDurable(size: size)
  }

  /// The settled image is the durable one, `size` bytes long.
  private func becomeDurable(size: Int64) {
    for i in dirty {
      slots[i].listed = false
      slots[i].settled = slots[i].durable
    }
    dirty.removeAll()
    let kept = (Int(size) + MemoryPage.size - 1) >> MemoryPage.shift
    if kept < slots.count { slots.removeSubrange(kept...) }
    let inPage = Int(size) & (MemoryPage.size - 1)
    if inPage > 0, kept == slots.count, let page = slots[kept - 1].durable,
      !isZero(page.bytes + inPage, MemoryPage.size - inPage)
    {
      slots[kept - 1].settled = nil
      Self.zeroTail(from: inPage, of: &slots[kept - 1].durable)
      slots[kept - 1].settled = slots[kept - 1].durable
    }
    settledSize = size
    durableSize = size
    settledPages = slots.reduce(0) { $1.settled == nil ? $0 : $0 + 1 }
  }

  func durableBytes() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(durableSize))
    for (i, slot) in slots.enumerated() {
      guard let page = slot.durable else { continue }
      let start = i << MemoryPage.shift
      let n = min(MemoryPage.size, bytes.count - start)
      guard n > 0 else { break }
      bytes.withUnsafeMutableBytes { _ = memcpy($0.baseAddress! + start, page.bytes, n) }
    }
    return bytes
  }

  func settledBytes() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(settledSize))
    bytes.withUnsafeMutableBytes { target in
      if let base = target.baseAddress { read(base, target.count, at: 0) }
    }
    return bytes
  }
}
