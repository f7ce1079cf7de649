import LogModel

/// A file as a crash point sees it: with the operations in flight, as if they had happened last.
struct FileInFlight: Sendable {
  let file: FileHistory
  var versions: [Int: [FileHistory.Version]] = [:]
  var growths: [FileHistory.Growth] = []
  var marks: [FileHistory.Mark] = []

  init(_ file: FileHistory) { self.file = file }

  var allMarks: [FileHistory.Mark] { file.marks + marks }
  var allGrowths: [FileHistory.Growth] { file.growths + growths }

  var settledSize: Int {
    let mark = marks.last { $0.size != nil }
    if let growth = growths.last, growth.at > mark?.at ?? -1 { return growth.size }
    return mark?.size ?? file.settledSize
  }

  private func settled(_ sector: Int) -> SectorID {
    guard let version = versions[sector]?.last else { return file.settled(sector) }
    for mark in marks where mark.at > version.at && mark.holes.contains(sector) { return SectorStore.hole }
    return version.content
  }

  mutating func write(
    _ store: SectorStore, _ bytes: [UInt8], at offset: Int, _ rule: CrashProfile.EdgeRule, _ moment: Int
  ) {
    let settledSize = settledSize
    if rule == .atGrowth, offset + bytes.count > settledSize {
      zero(settledSize..<max(settledSize, min(FileCut.blockEnd(settledSize), offset)), false, store, moment)
    }
    bytes.withUnsafeBytes { source in
      var at = 0
      while at < bytes.count {
        let sector = (offset + at) / SectorStore.size
        let start = (offset + at) % SectorStore.size
        let n = min(SectorStore.size - start, bytes.count - at)
        let content = store.overlay(settled(sector), source.baseAddress! + at, at: start, n)
        versions[sector, default: []].append(FileHistory.Version(at: moment, content: content))
        at += n
      }
    }
  }

  mutating func cut(
    _ operation: DiskOperation, _ number: Int, _ rule: CrashProfile.EdgeRule, _ store: SectorStore, _ moment: Int
  ) {
    let cut = FileCut(operation, number: number, at: moment, settled: settledSize, rule)
    for range in cut.zeros { zero(range, false, store, moment) }
    guard let mark = cut.mark else { return }
    for range in mark.edges { zero(range, true, store, moment) }
    marks.append(mark)
  }

  private mutating func zero(_ range: Range<Int>, _ isOfMark: Bool, _ store: SectorStore, _ moment: Int) {
    for sector in SectorStore.sectors(of: range) {
      let content = store.zeroed(settled(sector), in: sector, from: range)
      versions[sector, default: []].append(FileHistory.Version(at: moment, content: content, isOfMark: isOfMark))
    }
  }
}
