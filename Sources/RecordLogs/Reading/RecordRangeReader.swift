import LogModel
import Storage

/// Reads what has been acknowledged of a log from some record on, file by file, with a handle and a place of its own.
/// For logs whose files are not compressed.
package final class RecordRangeReader<Codec: RecordCodec> {
  // Owned by the loop of its log.

  private let log: RecordLog<Codec>
  private var number: Int
  private var source: FileSource
  private var scanner: RecordScanner<Codec>

  private init(_ log: RecordLog<Codec>, _ start: RecordPosition, _ file: FileID, limit: Int64) {
    self.log = log
    number = start.file
    source = FileSource(log.storage, file, from: start.offset, limit: limit)
    scanner = RecordScanner(log.storage, source, from: start.offset)
  }

  /// - Parameter start: where a record stands, or a file's first one would.
  package static func open(
    _ log: RecordLog<Codec>, at start: RecordPosition
  ) async throws(StorageError) -> RecordRangeReader {
    let (file, limit) = try await openFile(log, start.file)
    return RecordRangeReader(log, start, file, limit: limit)
  }

  private static func openFile(_ log: RecordLog<Codec>, _ number: Int) async throws(StorageError) -> (
    FileID, limit: Int64
  ) {
    let file = try await log.storage.here().open(log.files.path(number), [])
    do throws(StorageError) {
      return (file, number == log.fileNumber ? log.end : try await log.storage.here().size(of: file))
    } catch {
      await log.storage.close(file)
      throw error
    }
  }

  /// The next record or damage, valid until the next call; nil at the end of what has been acknowledged.
  package func next() async throws(StorageError) -> RecordFinding<Codec>? {
    while true {
      switch try await scanner.next() {
      case .record(let at, let length):
        return .record(RecordPosition(file: number, offset: at), Codec.record(in: scanner.bytes(at: at, length)))
      case .damage(let range, let fault): return .damage(DamagedBytes(path: path, range: range, fault: fault))
      case .end(let tail, let fault, _):
        let path = path
        let goesOn = try await goOn()
        if let fault { return .damage(DamagedBytes(path: path, range: tail, fault: fault)) }
        if !goesOn { return nil }
      }
    }
  }

  private var path: String { log.files.path(number) }

  /// - Returns: whether there was another file.
  private func goOn() async throws(StorageError) -> Bool {
    guard number < log.fileNumber else {
      source.limit = scanner.position
      return false
    }
    let (file, limit) = try await Self.openFile(log, number + 1)
    await log.storage.close(source.file)
    number += 1
    let start = Int64(Codec.fileHeader.count)
    source = FileSource(log.storage, file, from: start, limit: limit)
    scanner = RecordScanner(log.storage, source, from: start)
    return true
  }

  package func close() async { await log.storage.close(source.file) }
}

extension RecordLog {
  /// The number of the newest file of a log; nil where there is none.
  package static func lastFile(
    _ name: String, in directory: String, of storage: any Storage
  ) async throws(RecordLogError) -> Int? {
    do throws(StorageError) {
      return try await RecordFiles(directory: directory, name: name).present(in: storage).last?.number
    } catch { throw .storage(error) }
  }

  package func path(ofFile number: Int) -> String { files.path(number) }

  /// Of a log that need not be open.
  package static func path(ofFile number: Int, _ name: String, in directory: String) -> String {
    RecordFiles(directory: directory, name: name).path(number)
  }

  /// Reads what recovery has taken out of a log, from its first byte on.
  package func readSetAside(_ path: String, _ found: (RecordFinding<Codec>) -> Void) async throws(StorageError) {
    let file = try await storage.here().open(path, [])
    do throws(StorageError) {
      let size = try await storage.here().size(of: file)
      var scanner = RecordScanner<Codec>(storage, FileSource(storage, file, limit: size))
      reading: while true {
        switch try await scanner.next() {
        case .record(let at, let length):
          found(.record(RecordPosition(file: 0, offset: at), Codec.record(in: scanner.bytes(at: at, length))))
        case .damage(let range, let fault): found(.damage(DamagedBytes(path: path, range: range, fault: fault)))
        case .end: break reading
        }
      }
      await storage.close(file)
    } catch {
      await storage.close(file)
      throw error
    }
  }
}
