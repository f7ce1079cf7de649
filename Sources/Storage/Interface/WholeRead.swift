import LogModel

extension Storage {
  /// Reads `buffer[range]` from `offset` on, up to the end of the file.
  ///
  /// A read that brings fewer bytes than asked says nothing of where the file ends: only one that brings none does
  /// (`man 2 read`). After EINTR and EAGAIN the read is made again, `RetryingStorage.attempts` times in all.
  /// - Returns: fewer bytes than asked where the file ends.
  /// - Throws: what the device says.
  public func readWhole(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    var at = range.lowerBound
    var attempts = 0
    while at < range.upperBound {
      let position = offset + Int64(at - range.lowerBound)
      do throws(StorageError) {
        let got = try await read(file, at: position, into: buffer, at..<range.upperBound)
        if got == 0 { break }
        at += got
      } catch {
        attempts += 1
        guard error.saysNothingHappened, attempts < RetryingStorage.attempts else { throw error }
        let site = loop.callSite
        await loop.sleep(until: loop.now + WholeWrite.pause)
        loop.callSite = site
      }
    }
    return at - range.lowerBound
  }
}
