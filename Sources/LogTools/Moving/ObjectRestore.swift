import Glibc
import LogModel
import ObjectStore
import WriteAheadLog

/// Segments made of what an object store holds of a partition: a folder `TOPIC/PARTITION` of `*.tlo`.
///
/// An object is read whole, as the store gives it: up to 64 MiB, and as much again unpacked.
public struct ObjectRestore: Hashable, Sendable {
  /// Names of the new files.
  public private(set) var files: [String] = []
  public private(set) var messages = 0
  public private(set) var offsets: Range<Int64> = 0..<0
  /// Offsets between objects that no object has.
  public private(set) var gaps: [Range<Int64>] = []

  /// - Throws: `noLogs`; `refused` for an object that is damaged. Segments that were made before stay.
  public init(_ folder: String, into target: String) throws(LogToolError) {
    let objects = try Self.objects(folder)
    guard let first = objects.first else { throw .noLogs(path: folder) }
    try Folders.make(target)
    var (due, previous) = (first.base.rawValue, Int64(-1))
    offsets = due..<due
    for name in objects {
      // Of two objects with one base the higher epoch comes first.
      if name.end.rawValue <= due { continue }
      if name.base.rawValue > due { gaps.append(due..<name.base.rawValue) }
      try write(name, folder, target, from: max(due, name.base.rawValue), previous: previous)
      previous = max(due, name.base.rawValue)
      due = name.end.rawValue
    }
    offsets = first.base.rawValue..<due
  }

  private static func objects(_ folder: String) throws(LogToolError) -> [ObjectName] {
    var parts = folder.split(separator: "/").map(String.init)
    guard let number = parts.popLast(), let partition = Int(number), let topic = parts.popLast() else {
      throw .refused(path: folder, why: "is not TOPIC/PARTITION of an object store")
    }
    let source = TopicPartition(topic, PartitionID(partition))
    guard let stream = opendir(folder) else { throw .system(what: "list", path: folder, errno: errno) }
    defer { closedir(stream) }
    var names: [ObjectName] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let object = ObjectName(fileName: name, of: source) { names.append(object) }
    }
    return names.sorted { ($0.base, $1.epoch, $1.end) < ($1.base, $0.epoch, $0.end) }
  }

  private mutating func write(
    _ name: ObjectName, _ folder: String, _ target: String, from due: Int64, previous: Int64
  ) throws(LogToolError) {
    let path = "\(folder)/\(name.fileName)"
    let object: SegmentObject
    let bytes = try Self.whole(path)
    do throws(ObjectStoreError) { object = try SegmentObject(bytes, expecting: name) } catch {
      throw .refused(path: path, why: "\(error)")
    }
    let writer = SegmentWriter(
      topic: name.source.topic, partition: name.source.partition, epoch: name.epoch, previous: Offset(previous))
    let file = SegmentHeader.fileName(base: Offset(due), epoch: name.epoch)
    let new = try NewFile("\(target)/\(file)")
    try Self.append(writer.begin(due), new)
    var at = 0
    while at + 64 <= object.batches.count {
      let head = object.batches[at..<at + 64]
      let length = Int(Self.little(head, 8, UInt32.self))
      let base = Self.little(head, 16, Int64.self)
      let count = Int(Self.little(head, 24, UInt32.self))
      guard length >= 64, at + length <= object.batches.count else {
        throw .refused(path: path, why: "holds a batch that does not fit")
      }
      defer { at += length }
      if base + Int64(count) <= due { continue }
      var made: [UInt8] = []
      guard writer.append(Array(object.batches[at + 64..<at + length]), count, base, new.size, &made) else {
        throw .refused(path: path, why: "holds a batch that is too long")
      }
      try Self.append(made, new)
      messages += count
    }
    try new.finish()
    files.append(file)
  }

  private static func little<Value: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, _ at: Int, _ type: Value.Type)
    -> Value
  {
    var value: Value = 0
    for index in 0..<MemoryLayout<Value>.size {
      value |= Value(truncatingIfNeeded: bytes[bytes.startIndex + at + index]) << Value(8 * index)
    }
    return value
  }

  private static func whole(_ path: String) throws(LogToolError) -> [UInt8] {
    let window = try ByteWindow(try FileBytes(path), limit: 80 << 20)
    var bytes: [UInt8] = []
    window.forEachPiece(0..<window.size) { (piece: UnsafeRawBufferPointer) in bytes.append(contentsOf: piece) }
    if let failure = window.failure { throw failure }
    return bytes
  }

  private static func append(_ bytes: [UInt8], _ file: NewFile) throws(LogToolError) {
    var failure: LogToolError?
    bytes.withUnsafeBytes { raw in
      do throws(LogToolError) { try file.write(raw) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
