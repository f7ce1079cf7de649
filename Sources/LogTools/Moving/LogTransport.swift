import Glibc
import LogModel
import RecordLogs

/// Events into the log of a folder, in place of a server: `wal replay --into DIR`. Events that the log there has
/// already are not written again.
public final class LogTransport: Transport, @unchecked Sendable {
  // One batch is under way at a time.

  private let folder: String
  /// What is known of the log at `path` as long as it has this size.
  private var known: (path: String, size: Int64, numbers: SequenceRanges)?

  public init(_ folder: String) { self.folder = folder }

  public func deliver(_ batch: EventBatch) async -> Delivery {
    do throws(LogToolError) {
      try append(batch)
      return .accepted
    } catch { return .unavailable("\(error)") }
  }

  private func append(_ batch: EventBatch) throws(LogToolError) {
    try Folders.make(folder)
    let path = "\(folder)/\(batch.job).wal"
    let log = LogFiles(name: path, paths: [path], lockPath: "\(folder)/\(batch.job).lock")
    let lock = try LogLock.take(log, isForced: false)
    defer { withExtendedLifetime(lock) {} }
    let present = try present(path)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(what: "write", path: path, errno: errno) }
    defer { close(descriptor) }
    var bytes = present == nil ? AirunnerCodec.fileHeader : []
    let fresh = batch.events.filter { !(present?.contains($0.sequence) ?? false) }
    bytes += EventBatch(job: batch.job, events: fresh).encoded()
    var failure: LogToolError?
    bytes.withUnsafeBytes { raw in
      do throws(LogToolError) { try writeAll(raw, to: descriptor, path) } catch { failure = error }
    }
    if let failure { throw failure }
    guard fsync(descriptor) == 0 else { throw .system(what: "sync", path: path, errno: errno) }
    if present == nil { try Folders.sync(of: path) }
    var numbers = present ?? SequenceRanges()
    for event in fresh where (1..<Int64(1) << 62).contains(event.sequence) { numbers.insert(event.sequence) }
    known = (path, try FileBytes(path).currentSize(), numbers)
  }

  /// The numbers that the log has; nil where there is none.
  private func present(_ path: String) throws(LogToolError) -> SequenceRanges? {
    guard access(path, F_OK) == 0 else { return nil }
    if let known, known.path == path, known.size == (try FileBytes(path).currentSize()) { return known.numbers }
    let file = try LogFile(path, format: .airunner)
    guard file.reader.size > 0 else { return nil }
    var found = SequenceRanges()
    while true {
      switch try file.reader.next() {
      case .entry(let entry):
        if let offset = entry.firstOffset, offset >= 0, offset < Int64(1) << 62 { found.insert(offset + 1) }
      case .damage, .remains: continue
      case .end(let tail):
        guard tail.kind == .nothing else {
          throw .refused(path: path, why: "ends in a torn record; run `tornlog wal repair` and put the result here")
        }
        return found
      }
    }
  }
}
