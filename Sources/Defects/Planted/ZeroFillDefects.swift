import LogModel
import Storage

/// Tells the zero-fills of a log from all else that passes: zeros, not durable by themselves, behind the head of a
/// segment. A zero-fill ends with a sync of its file.
class ZeroFillWatch: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Where the first zero-fill of a segment begins: behind its head.
  private static let firstFill: Int64 = 4096
  private var filling: Set<FileID> = []

  enum Piece {
    case none
    /// - Parameter isFirst: of its zero-fill.
    case later(isFirst: Bool)
  }

  /// What a write is of zero-fills behind a segment's first.
  fileprivate func piece(
    _ file: FileID, at offset: Int64, of buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) -> Piece {
    guard durability == .volatile, offset >= Self.firstFill, SegmentPath(paths[file]) != nil,
      buffer[range].allSatisfy({ $0 == 0 })
    else { return .none }
    let begins = filling.insert(file).inserted
    if begins, offset == Self.firstFill { firsts.insert(file) }
    return firsts.contains(file) ? .none : .later(isFirst: begins)
  }

  /// Whose first zero-fill is under way.
  private var firsts: Set<FileID> = []

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    filling.remove(file)
    firsts.remove(file)
    try await super.sync(file, scope)
  }

  override func close(_ file: FileID) async {
    filling.remove(file)
    firsts.remove(file)
    await super.close(file)
  }
}

/// P17.
final class ZeroFillsBegunEarly: ZeroFillWatch, @unchecked Sendable {
  private static let block: Int64 = 512

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard case .later(isFirst: true) = piece(file, at: offset, of: buffer, range, durability) else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    return try await super.write(file, at: offset - Self.block, from: buffer, range, durability)
  }
}

/// P18. It counts as done when it has been handed over.
final class ZeroFillsNotAwaited: ZeroFillWatch, @unchecked Sendable {
  /// Behind the sync that is to cover it.
  private static let delay = Duration.milliseconds(3)

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard case .later = piece(file, at: offset, of: buffer, range, durability) else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    let zeroes = makeBuffer(capacity: range.count)
    zeroes.mutableBytes(0..<range.count).initializeMemory(as: UInt8.self, repeating: 0)
    loop.spawn { await self.land(file, offset, zeroes, range.count) }
    return range.count
  }

  private func land(_ file: FileID, _ offset: Int64, _ zeroes: IOBuffer, _ count: Int) async {
    await loop.sleep(until: loop.now + Self.delay)
    // Who was to hear of it has been told already.
    do throws(StorageError) { _ = try await super.write(file, at: offset, from: zeroes, 0..<count, .volatile) } catch {}
  }
}
