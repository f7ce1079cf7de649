import Glibc
import LogModel
import Storage

/// The only place where bytes reach the base, or come back from it.
extension FaultyStorage {
  func path(of file: FileID) -> String { handles[file]?.path ?? paths[file] }

  /// Passes a write, or its start, on; what the fault layer knows of the file follows.
  /// - Returns: bytes taken by the base.
  func put(
    _ store: Store, part: Range<Int>? = nil, _ durability: WriteDurability? = nil
  ) async throws(StorageError) -> Int {
    let part = part ?? 0..<store.payload.count
    let durability = durability ?? store.durability
    let offset = store.offset + Int64(part.lowerBound)
    var before: [UInt8] = []
    if remembersOlder { before = try await readBack(store.file, offset, part.count) }
    let payload = store.payload.part(part)
    let taken = try await base.write(store.file, at: offset, from: payload.buffer, payload.range, durability)
    let target = offset..<offset + Int64(taken)
    let path = store.path
    if remembersOlder { remember(before, target, path) }
    if tracksUnsynced {
      if durability == .volatile {
        unsynced[path, default: .init()].add(target)
      } else {
        _ = unsynced[path]?.take(target)
      }
    }
    if unreadable[path]?.isEmpty == false { try await heal(path, store.file, target) }
    return taken
  }

  /// Writes `part` to its end, whatever its alignment.
  func putWhole(_ store: Store, _ part: Range<Int>, _ durability: WriteDurability) async throws(StorageError) {
    let block = Int64(properties.blockSize)
    let payload = store.payload.part(part)
    let start = store.offset + Int64(part.lowerBound)
    let end = start + Int64(part.count)
    if isDirect(store.file), start % block != 0 || end % block != 0 || payload.range.lowerBound % Int(block) != 0 {
      return try await putBlocks(store, part, durability)
    }
    var at = part.lowerBound
    while at < part.upperBound {
      let taken = try await put(store, part: at..<part.upperBound, durability)
      if taken == 0 { throw error(.errno(ENOSPC), store.course.call) }
      at += taken
    }
  }

  /// The same past the page cache: in whole blocks, with what stands around it; the file gets no longer than it was, or
  /// than the part's end.
  private func putBlocks(_ store: Store, _ part: Range<Int>, _ durability: WriteDurability) async throws(StorageError) {
    let block = Int64(properties.blockSize)
    let start = store.offset + Int64(part.lowerBound)
    let end = start + Int64(part.count)
    let from = start / block * block
    let to = (end + block - 1) / block * block
    let size = try await base.size(of: store.file)
    let around = try await readBack(store.file, from, Int(to - from))
    var blocks = store
    blocks.offset = from
    blocks.payload = Payload(buffer: IOBuffer(capacity: Int(to - from)), range: 0..<Int(to - from))
    blocks.payload.buffer.mutableBytes(0..<around.count).copyBytes(from: around)
    let inside = Int(start - from)..<Int(end - from)
    blocks.payload.buffer.mutableBytes(inside).copyMemory(from: store.payload.buffer[store.payload.part(part).range])
    _ = try await put(blocks, durability)
    let wanted = max(size, end)
    if wanted < to, try await base.size(of: store.file) == to { try await base.truncate(store.file, to: wanted) }
  }

  /// What stands at `offset`; fewer bytes at the end of the file. In whole pages, as direct I/O wants it.
  func readBack(_ file: FileID, _ offset: Int64, _ count: Int) async throws(StorageError) -> [UInt8] {
    let page = Int64(IOBuffer.alignment)
    let from = offset / page * page
    let length = Int((offset + Int64(count) + page - 1) / page * page - from)
    let buffer = IOBuffer(capacity: length)
    let got = try await base.read(file, at: from, into: buffer, 0..<length)
    let skipped = Int(offset - from)
    return got > skipped ? Array(buffer[skipped..<min(got, skipped + count)]) : []
  }

  private func remember(_ before: [UInt8], _ target: Range<Int64>, _ path: String) {
    var layer = older[path] ?? UndoLog.Layer(number: 0)
    layer.subtract(target)
    let known = min(target.upperBound, target.lowerBound + Int64(before.count))
    if target.lowerBound < known {
      layer.insert(.init(range: target.lowerBound..<known, old: before[0..<Int(known - target.lowerBound)]))
    }
    if known < target.upperBound { layer.insert(.init(range: known..<target.upperBound, old: nil)) }
    older[path] = layer
  }

  /// A sector that is written whole, as far as the file goes, can be read again; what is written into a part of one
  /// cannot.
  private func heal(_ path: String, _ file: FileID, _ target: Range<Int64>) async throws(StorageError) {
    let size = try await base.size(of: file)
    for sector in unreadable[path]?.keys.sorted() ?? [] {
      let bytes = (sector * 512..<(sector + 1) * 512).clamped(to: 0..<max(size, 0))
      if bytes.isEmpty || target.lowerBound <= bytes.lowerBound && bytes.upperBound <= target.upperBound {
        unreadable[path]?[sector] = nil
      } else if bytes.overlaps(target) {
        onSectors?(self, FileRange(path, bytes.clamped(to: target)))
      }
    }
  }

  // MARK: Names

  /// What is known of the file, or of the files below a directory, goes with its name.
  func moveKnowledge(_ path: String, to newPath: String) {
    func moved(_ old: String) -> String? {
      if old == path { return newPath }
      return old.hasPrefix(path + "/") ? newPath + old.dropFirst(path.count) : nil
    }
    func rekey<Value>(_ table: inout [String: Value]) {
      table[newPath] = nil
      for (old, value) in table {
        guard let new = moved(old) else { continue }
        table[old] = nil
        table[new] = value
      }
    }
    guard path != newPath else { return }
    rekey(&unreadable)
    rekey(&older)
    rekey(&unsynced)
    rekey(&lateReports)
    rekey(&lateDirectoryReports)
    for (file, handle) in handles {
      if let new = moved(handle.path) {
        handles[file]?.path = new
        paths[file] = new
      }
    }
  }

  func forgetKnowledge(_ path: String) {
    unreadable[path] = nil
    older[path] = nil
    unsynced[path] = nil
    lateReports[path] = nil
  }

  func cutKnowledge(_ path: String, to size: Int64) {
    for sector in unreadable[path]?.keys.sorted() ?? [] where sector * 512 >= size { unreadable[path]?[sector] = nil }
    older[path]?.subtract(size..<Int64.max)
    _ = unsynced[path]?.take(size..<Int64.max)
  }
}
