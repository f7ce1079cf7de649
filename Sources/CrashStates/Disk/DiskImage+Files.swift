extension DiskImage {
  /// What a path leads to, as far as a reader can tell.
  package struct Found: Hashable, Sendable {
    let sectors: [SectorID]
    package let size: Int
  }

  /// Files by path number. Equal contents of one recording are equal here.
  package var contents: [Int32: Found] {
    var found: [Int32: Found] = [:]
    for case (let path, .file(let file)) in names {
      found[path] = Found(sectors: files[Int(file)].sectors, size: files[Int(file)].size)
    }
    return found
  }
}
