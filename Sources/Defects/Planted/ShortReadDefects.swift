import LogModel
import Storage

/// Bugs in what follows a short read.
extension Defect {
  static let shortReads: [Defect] = [
    Defect(
      "P60", origin: "planted",
      "A short read is taken for the end of the file: nobody reads what comes behind it (facebook/rocksdb#10368).",
      showsWhen: "a read of a log that brings fewer bytes than asked, while the log is recovered",
      onlyLayer: { ShortReadsEndFiles($0) })
  ]
}

/// P60. `man 2 read`: a read may bring fewer bytes than asked, and the next one goes on.
private final class ShortReadsEndFiles: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Where each file is believed to end.
  private var ends: [FileID: Int64] = [:]

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    if offset > 0, ends[file] == offset { return 0 }
    let got = try await super.read(file, at: offset, into: buffer, range)
    if got < range.count { ends[file] = offset + Int64(got) }
    return got
  }

  override func close(_ file: FileID) async {
    ends[file] = nil
    await super.close(file)
  }
}
