import TornlogKit

/// A log with one file for each partition, `TOPIC-PARTITION.log`. A file is a sequence of frames, one for each request:
///
///     payload length u32 | FNV-1a of the payload u32 | number of messages u32 | for each: length u32, bytes
///
/// A request is acknowledged once its frame is synced. Recovery cuts a file behind its last whole frame.
public final class TinyLog: LogUnderTest, @unchecked Sendable {
  // Owned by the loop of the storage.

  /// A mistake to plant. Each is a line that somebody forgot.
  public enum Bug: CaseIterable, Sendable {
    /// A request is acknowledged before its frame is synced.
    case noSync
    /// The names of new files are never synced.
    case noDirectorySync
    /// Recovery believes every frame that is long enough.
    case noChecksum
    /// Recovery leaves a torn frame where it is, and appends behind it.
    case tornTailKept
  }

  static let headSize = 12
  private struct Message { var position, length: Int }
  private final class Partition {
    var file = FileID(-1)
    var end = 0
    var messages: [Message] = []
  }

  private let storage: any Storage
  private let bug: Bug?
  private var parts: [TopicPartition: Partition] = [:]
  public private(set) var partitions: [TopicPartition] = []

  init(_ storage: any Storage, _ bug: Bug?) { (self.storage, self.bug) = (storage, bug) }

  // MARK: Opening

  func recover() async throws(StorageError) {
    for entry in try await storage.list("") {
      guard entry.name.hasSuffix(".log"), let dash = entry.name.lastIndex(of: "-"),
        let number = Int(entry.name[entry.name.index(after: dash)...].dropLast(4))
      else { continue }
      try await open(TopicPartition(String(entry.name[..<dash]), PartitionID(number)), isNew: false)
    }
  }

  private func open(_ source: TopicPartition, isNew: Bool) async throws(StorageError) {
    let part = Partition()
    part.file = try await storage.open(
      "\(source.topic)-\(source.partition.rawValue).log", isNew ? [.write, .create] : [.write])
    let size = Int(try await storage.size(of: part.file))
    let bytes = storage.makeBuffer(capacity: max(size, 1))
    var filled = 0
    while filled < size {
      let got = try await storage.read(part.file, at: Int64(filled), into: bytes, filled..<size)
      if got == 0 { break }
      filled += got
    }
    while let end = Self.frame(bytes[0..<filled], part, isChecked: bug != .noChecksum) { part.end = end }
    if part.end < size, bug != .tornTailKept {
      try await storage.truncate(part.file, to: Int64(part.end))
      try await storage.sync(part.file, .all)
    } else {
      part.end = size
    }
    parts[source] = part
    partitions.append(source)
  }

  /// Takes the frame at the end of `part`.
  /// - Returns: where it ends; nil where no whole frame stands there.
  private static func frame(_ bytes: UnsafeRawBufferPointer, _ part: Partition, isChecked: Bool) -> Int? {
    func word(_ at: Int) -> Int { Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))) }
    let start = part.end + headSize
    guard start <= bytes.count, word(part.end + 8) > 0, start + word(part.end) <= bytes.count else { return nil }
    let end = start + word(part.end)
    if isChecked, UInt32(word(part.end + 4)) != checksum(bytes[start..<end]) { return nil }
    var messages: [Message] = []
    var at = start
    for _ in 0..<word(part.end + 8) {
      guard at + 4 <= end, at + 4 + word(at) <= end else { return nil }
      messages.append(Message(position: at + 4, length: word(at)))
      at += 4 + word(at)
    }
    part.messages += messages
    return end
  }

  private static func checksum(_ bytes: Slice<UnsafeRawBufferPointer>) -> UInt32 {
    bytes.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
  }

  // MARK: Writing

  public func createTopic(_ name: String, partitions: Int) async throws(LogFailure) {
    do throws(StorageError) {
      for number in 0..<partitions { try await open(TopicPartition(name, PartitionID(number)), isNew: true) }
      if bug != .noDirectorySync { try await storage.syncDirectory("") }
    } catch { throw LogFailure(.other, isCertain: false, cause: error) }
  }

  public func produce(
    _ messages: some OutgoingMessages, to partition: TopicPartition
  ) async throws(LogFailure) -> Offset {
    let part = try part(partition)
    let payload = messages.count * (4 + messages.valueBytes)
    let buffer = storage.makeBuffer(capacity: Self.headSize + payload)
    let bytes = buffer.mutableBytes(0..<Self.headSize + payload)
    var at = Self.headSize
    for index in 0..<messages.count {
      bytes.storeBytes(of: UInt32(messages.valueBytes).littleEndian, toByteOffset: at, as: UInt32.self)
      at += 4
      messages.writeValue(index, into: .init(rebasing: bytes[at..<at + messages.valueBytes]))
      at += messages.valueBytes
    }
    let sum = Self.checksum(UnsafeRawBufferPointer(bytes)[Self.headSize...])
    for (place, word) in [UInt32(payload), sum, UInt32(messages.count)].enumerated() {
      bytes.storeBytes(of: word.littleEndian, toByteOffset: place * 4, as: UInt32.self)
    }
    do throws(StorageError) {
      var done = 0
      while done < at {
        done += try await storage.write(part.file, at: Int64(part.end + done), from: buffer, done..<at, .volatile)
      }
      if bug != .noSync { try await storage.sync(part.file, .data) }
    } catch { throw LogFailure(.other, isCertain: false, cause: error) }
    let base = Offset(part.messages.count)
    for index in 0..<messages.count {
      let start = part.end + Self.headSize + index * (4 + messages.valueBytes) + 4
      part.messages.append(Message(position: start, length: messages.valueBytes))
    }
    part.end += at
    return base
  }

  public func close() async throws(LogFailure) { for part in parts.values { await storage.close(part.file) } }

  // MARK: Reading

  public final class Answer: FetchedMessages {
    var messages: [(offset: Offset, buffer: IOBuffer, length: Int)] = []
    public var nextOffset = Offset(0)

    public func forEachMessage(_ body: (FetchedMessage) -> Void) {
      for (offset, buffer, length) in messages { body(FetchedMessage(offset: offset, value: buffer[0..<length])) }
    }
    public func withFirstMessage(_ body: (FetchedMessage) -> Void) {
      if let (offset, buffer, length) = messages.first {
        body(FetchedMessage(offset: offset, value: buffer[0..<length]))
      }
    }
  }

  public func newAnswer(capacity: Int) -> Answer { Answer() }

  public func watermarks(_ partition: TopicPartition) throws(LogFailure) -> Watermarks {
    let end = Offset(try part(partition).messages.count)
    return Watermarks(logStartOffset: 0, highWatermark: end, logEndOffset: end)
  }

  public func fetch(
    _ partition: TopicPartition, from offset: Offset, maxBytes: Int, into answer: Answer
  ) async throws(LogFailure) {
    let part = try part(partition)
    guard offset >= 0, offset.rawValue <= Int64(part.messages.count) else {
      throw LogFailure(.offsetOutOfRange, isCertain: true, cause: TinyLogError.noSuchOffset(offset))
    }
    (answer.messages, answer.nextOffset) = ([], offset)
    var bytes = 0
    for message in part.messages[Int(offset.rawValue)...] where bytes == 0 || bytes + message.length <= maxBytes {
      let buffer = storage.makeBuffer(capacity: message.length)
      do throws(StorageError) {
        _ = try await storage.read(part.file, at: Int64(message.position), into: buffer, 0..<message.length)
      } catch { throw LogFailure(.other, isCertain: true, cause: error) }
      answer.messages.append((answer.nextOffset, buffer, message.length))
      answer.nextOffset += 1
      bytes += message.length
    }
  }

  // MARK: What it has not

  public func committedOffset(group: String, _ partition: TopicPartition) throws(LogFailure) -> Offset? { nil }
  public func commit(_ offset: Offset, group: String, _ partition: TopicPartition) async throws(LogFailure) {
    throw LogFailure(.other, isCertain: true, cause: TinyLogError.notSupported("groups"))
  }
  public func deleteRecords(_ partition: TopicPartition, before offset: Offset) async throws(LogFailure) {
    throw LogFailure(.other, isCertain: true, cause: TinyLogError.notSupported("deletion"))
  }

  private func part(_ partition: TopicPartition) throws(LogFailure) -> Partition {
    guard let part = parts[partition] else {
      throw LogFailure(.other, isCertain: true, cause: TinyLogError.noSuchPartition(partition))
    }
    return part
  }
}

enum TinyLogError: Error {
  case noSuchPartition(TopicPartition)
  case noSuchOffset(Offset)
  case notSupported(String)
}

/// Opens a `TinyLog` on a storage.
public struct TinyLogFactory: LogFactory {
  let storage: any Storage
  let bug: TinyLog.Bug?

  public init(_ storage: any Storage, _ bug: TinyLog.Bug? = nil) { (self.storage, self.bug) = (storage, bug) }

  public func open() async throws(LogFailure) -> (log: TinyLog, recovery: RecoverySummary) {
    let log = TinyLog(storage, bug)
    do throws(StorageError) { try await log.recover() } catch {
      throw LogFailure(.other, isCertain: true, cause: error)
    }
    return (log, RecoverySummary())
  }
}
