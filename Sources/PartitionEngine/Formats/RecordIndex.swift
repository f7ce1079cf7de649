import LogModel
import RecordLogs

/// Where some requests of a log stand: enough to find any other by reading a little.
struct RecordIndex {
  struct Entry: Hashable {
    var offset: Offset
    var position: RecordPosition
  }

  /// Bytes of a file between two entries, about.
  private static let spacing: Int64 = 64 << 10

  /// In the order of the log; the first record of each file is among them.
  private(set) var entries: [Entry] = []
  /// Where the newest file begins.
  private(set) var newestFile: Entry?

  mutating func note(_ offset: Offset, at position: RecordPosition) {
    if let last = entries.last, last.position.file == position.file,
      position.offset - last.position.offset < Self.spacing
    {
      return
    }
    let entry = Entry(offset: offset, position: position)
    if newestFile?.position.file != position.file { newestFile = entry }
    entries.append(entry)
  }

  func entry(atOrBefore offset: Offset) -> Entry? {
    let after = firstAfter(offset)
    return after > 0 ? entries[after - 1] : nil
  }

  /// The first entry behind `offset`.
  func entry(after offset: Offset) -> Entry? {
    let after = firstAfter(offset)
    return after < entries.count ? entries[after] : nil
  }

  private func firstAfter(_ offset: Offset) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Where files begin, the oldest first.
  var files: [Entry] {
    entries.indices.filter { $0 == 0 || entries[$0].position.file != entries[$0 - 1].position.file }.map { entries[$0] }
  }

  mutating func removeFile(_ number: Int) { entries.removeAll { $0.position.file == number } }
}
