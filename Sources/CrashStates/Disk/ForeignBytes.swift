import LogModel

/// What stands in space that was never written: bytes that somebody else left there. Taken from the same place of
/// another file of the recording, where there is one, since those are the most credible; otherwise noise.
package struct ForeignBytes: Sendable {
  private var bySector: [Int: [(file: Int, content: SectorID)]] = [:]
  private let noise: [SectorID]

  package init(_ recording: Recording, seed: UInt64) {
    var random = SeededGenerator(seed: seed, stream: "foreign bytes")
    noise = (0..<4).map { _ in
      let words = (0..<SectorStore.size / 8).map { _ in random.next() }
      return words.withUnsafeBytes { recording.store.intern($0.baseAddress!) }
    }
    for case .write(let file, let offset, let bytes, _) in recording.operations where offset % SectorStore.size == 0 {
      bytes.withUnsafeBytes { source in
        for at in stride(from: 0, to: bytes.count - SectorStore.size + 1, by: SectorStore.size) {
          let sector = (offset + at) / SectorStore.size
          let content = recording.store.intern(source.baseAddress! + at)
          if content == SectorStore.zero || bySector[sector]?.contains(where: { $0.file == Int(file) }) ?? false {
            continue
          }
          bySector[sector, default: []].append((Int(file), content))
        }
      }
    }
  }

  func content(file: Int, sector: Int) -> SectorID {
    bySector[sector]?.first { $0.file != file }?.content ?? noise[sector % noise.count]
  }
}
