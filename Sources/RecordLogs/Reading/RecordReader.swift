import LogModel
import Storage

/// Reads the acknowledged records of a log that is being appended to, with a handle and a place of its own: nobody who
/// appends is moved by it (A1). For logs in one file.
final class RecordReader<Codec: RecordCodec> {
  // Owned by the loop of its log.

  private let log: RecordLog<Codec>
  private let source: FileSource
  private var scanner: RecordScanner<Codec>
  /// Places that were passed over, because no record stands there any more.
  private(set) var damageCount = 0

  private init(_ log: RecordLog<Codec>, _ file: FileID) {
    self.log = log
    source = FileSource(log.storage, file, from: Int64(Codec.fileHeader.count), limit: log.end)
    scanner = RecordScanner<Codec>(log.storage, source, from: Int64(Codec.fileHeader.count))
  }

  /// From the log's first record on.
  static func open(_ log: RecordLog<Codec>) async throws(RecordLogError) -> RecordReader {
    precondition(log.policy.rotation == nil, "a reader follows one file")
    do throws(StorageError) {
      return RecordReader(log, try await log.storage.here().open(log.files.path(log.fileNumber), []))
    } catch { throw .storage(error) }
  }

  /// The next record, valid until the next call; nil at the end of what has been acknowledged so far.
  func next() async throws(RecordLogError) -> Codec.Record? {
    while true {
      source.limit = log.end
      do throws(StorageError) {
        switch try await scanner.next() {
        case .record(let at, let length): return Codec.record(in: scanner.bytes(at: at, length))
        case .damage: damageCount += 1
        case .end(let tail, _, _):
          if tail.isEmpty { return nil }
          damageCount += 1
        }
      } catch { throw .storage(error) }
    }
  }

  func close() async { await log.storage.close(source.file) }
}
