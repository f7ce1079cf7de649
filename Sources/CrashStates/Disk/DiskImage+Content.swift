import Glibc

extension DiskImage {
  /// Bytes of a file, by its number.
  package func size(of file: Int32) -> Int { files[Int(file)].size }

  /// Sectors of a file that give an error to whoever reads them.
  package func unreadableSectors(of file: Int32) -> [Int] {
    files[Int(file)].sectors.indices.filter { files[Int(file)].sectors[$0] == SectorStore.unreadable }
  }

  /// Puts a file's bytes from an offset on into a buffer that holds zeros, as many as both have.
  /// - Parameters:
  ///   - offset: a multiple of a sector's size, as the buffer's count is.
  ///   - store: of the recording that this is a state of.
  /// - Returns: whether any sector holds something else than zeros.
  package func fill(
    _ buffer: UnsafeMutableRawBufferPointer, from offset: Int, of file: Int32, _ store: SectorStore
  ) -> Bool {
    let sectors = files[Int(file)].sectors
    let first = offset / SectorStore.size
    var holdsSomething = false
    for place in 0..<max(0, min(buffer.count / SectorStore.size, sectors.count - first)) {
      let id = sectors[first + place]
      // What cannot be read has no bytes.
      if id == SectorStore.zero || id == SectorStore.hole || id == SectorStore.unreadable { continue }
      memcpy(buffer.baseAddress! + place * SectorStore.size, store.bytes(id), SectorStore.size)
      holdsSomething = true
    }
    return holdsSomething
  }
}
