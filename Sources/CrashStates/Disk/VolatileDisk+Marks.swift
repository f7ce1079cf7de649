import LogModel

// Truncations, allocations and holes. Whole blocks are freed; of a block that is freed in part the bytes become zeros,
// when and how is the profile's rule (`CrashProfile.EdgeRule`).

/// What an operation does to the content and the size of a file beside freeing blocks.
struct FileCut: Sendable {
  /// Blocks of this size are freed, in bytes.
  static let block = 4096

  /// Nil where it is nothing but data.
  var mark: FileHistory.Mark?
  /// Bytes that are zeroed as data.
  var zeros: [Range<Int>] = []

  /// - Parameters:
  ///   - settled: the size before.
  ///   - index: place of the completion in the recording.
  init(_ operation: DiskOperation, number: Int, at index: Int, settled: Int, _ rule: CrashProfile.EdgeRule) {
    func mark(_ holes: Range<Int>, _ edges: [Range<Int>], _ size: Int?) -> FileHistory.Mark {
      FileHistory.Mark(
        operation: number, at: index, holes: holes, edges: rule == .withChange ? edges : [], size: size)
    }
    switch operation {
    case .truncate(_, let size):
      let end = Self.blockEnd(size)
      self.mark = mark(end / SectorStore.size..<Int.max, [size..<end], size)
      if rule == .asData { zeros = [size..<end] }
      // The bytes behind the old end, which a truncation may have left there.
      if rule == .atGrowth, size > settled { zeros = [settled..<min(size, Self.blockEnd(settled))] }
    case .allocate(_, let end, let keepsSize):
      guard !keepsSize, end > settled else { return }
      self.mark = mark(Self.blockEnd(end) / SectorStore.size..<Int.max, [], end)
      if rule == .atGrowth { zeros = [settled..<min(end, Self.blockEnd(settled))] }
    case .zero(_, let range):
      guard !range.isEmpty else { return }
      let (first, last) = (Self.blockEnd(range.lowerBound), range.upperBound / Self.block * Self.block)
      let edges = first > last ? [range] : [range.lowerBound..<first, last..<range.upperBound]
      if first < last { self.mark = mark(first / SectorStore.size..<last / SectorStore.size, edges, nil) }
      if first >= last || rule != .withChange { zeros = edges }
    default: return
    }
    zeros.removeAll(where: \.isEmpty)
  }

  /// The first byte at or behind `byte` that a block begins with.
  static func blockEnd(_ byte: Int) -> Int { (byte + block - 1) / block * block }
}

extension VolatileDisk {
  /// The operation has completed.
  mutating func cut(_ f: Int, _ operation: DiskOperation, _ number: Int, at index: Int) {
    let settled = files[f].settledSize
    let cut = FileCut(operation, number: number, at: index, settled: settled, profile.edges)
    for range in cut.zeros { files[f].addZeros(range, at: index, store) }
    if let mark = cut.mark {
      files[f].add(mark, store)
      if profile.names == .immediate { files[f].coverMarks(before: index + 1, store) }
      // xfs waits for the zeros before it logs a size that a truncation makes larger (xfs_setattr_size).
      let block = settled / FileCut.block * FileCut.block..<FileCut.blockEnd(settled)
      if profile.sizes == .withItsEnd, case .truncate(_, let size) = operation, size > settled, !block.isEmpty,
        !files[f].marks.contains(where: { $0.holes.overlaps(SectorStore.sectors(of: block)) })
      {
        files[f].makeDurable(block, store)
      }
    }
    noteSettled(f)
  }
}
