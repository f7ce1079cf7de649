import Glibc
import LogModel

/// The one rule by which whatever the engine writes is carried on, and given up.
///
/// 1. A write that took fewer bytes than it was given goes on from the byte that it reached (`man 2 write`: a partial
///    write is no error). Past the page cache it goes on from the block boundary at or below that byte: nothing else
///    can be written there.
/// 2. EINTR and EAGAIN say that nothing has happened: the write is made again.
/// 3. An attempt that gets no further is followed by a pause. `attempts` of them in a row, and the device is given up:
///    with the error that it gave last, or with `shortWrite` where it gave none. No error is made up that no device has
///    reported.
/// 4. Any other error ends the write at once.
public enum WholeWrite {
  /// Attempts in a row that get no further.
  public static let attempts = RetryingStorage.attempts
  static let pause = Duration.microseconds(100)
}

extension Storage {
  /// Writes all of `buffer[range]` at `offset`; see `WholeWrite`.
  ///
  /// - Parameters:
  ///   - path: of the file, for the error.
  ///   - isDirect: the file was opened with `OpenMode.direct`.
  /// - Returns: whether one write was not enough.
  /// - Throws: what the device says. What was written before that is in the file, and may be durable or not.
  @discardableResult
  public func writeWhole(
    _ file: FileID, _ path: String, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>,
    _ durability: WriteDurability = .volatile, isDirect: Bool = false
  ) async throws(StorageError) -> Bool {
    if range.isEmpty { return false }
    var done = 0
    var fruitless = 0
    while true {
      var reached = done
      do throws(StorageError) {
        let taken = try await write(
          file, at: offset + Int64(done), from: buffer, range.lowerBound + done..<range.upperBound, durability)
        if done + taken == range.count { return done > 0 || fruitless > 0 }
        reached += taken
        if isDirect, properties.directIO { reached = done + taken / properties.blockSize * properties.blockSize }
        fruitless = reached > done ? 0 : fruitless + 1
        if fruitless >= WholeWrite.attempts {
          throw StorageError(
            .shortWrite(taken: reached, of: range.count), .write, path, offset: offset + Int64(reached))
        }
      } catch {
        guard error.saysNothingHappened else { throw error }
        fruitless += 1
        if fruitless >= WholeWrite.attempts { throw error }
      }
      if reached > done {
        done = reached
      } else {
        let site = loop.callSite
        await loop.sleep(until: loop.now + WholeWrite.pause)
        loop.callSite = site
      }
    }
  }
}

extension StorageError {
  /// EINTR or EAGAIN.
  package var saysNothingHappened: Bool { isErrno(EINTR) || isErrno(EAGAIN) }
}
