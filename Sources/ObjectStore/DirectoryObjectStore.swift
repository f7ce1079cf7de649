import Glibc
import LogModel
import Storage

/// An object store in a directory, for one machine and for tests.
///
///     ROOT/TOPIC/PARTITION/BASE-END-EPOCH.tlo      the objects
///     ROOT/TOPIC/PARTITION/manifest                what was put there; see `ObjectManifest`
///     ROOT/.../*.N.partial                         puts that are under way, or were cut short
///
/// A put writes a file of its own, syncs it, renames it into its place and syncs the directory: a name that is there
/// has all of its bytes. Only then it goes into the manifest. So a manifest never names what was not there; what it
/// names and is there no more has been removed by somebody.
public final class DirectoryObjectStore: ObjectStore, @unchecked Sendable {
  // Owned by the storage's loop.

  private let storage: any Storage
  private let root: String
  private let directories: DurableDirectories
  /// Folders that were made durable, or swept, by this store.
  private var prepared: Set<String> = []
  /// Makes the temporary names of this store's puts differ, should one of them go on after it was given up.
  private var attempts = 0
  /// Shut while a manifest is changed.
  private let manifestIdle = AsyncEvent(isOpen: true)
  /// Bytes of one read or write.
  private static let pieceSize = 256 << 10

  /// - Parameter root: a directory of the storage, made with the first put.
  public init(_ storage: any Storage, root: String = "objects") {
    self.storage = RetryingStorage(storage)
    self.root = root
    directories = DurableDirectories(self.storage)
  }

  // MARK: Objects

  public func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    let folder = path(of: name.source)
    attempts += 1
    let temporary = "\(folder)/\(name.fileName).\(attempts).partial"
    let manifest = try await onMedium { () async throws(StorageError) in
      try await prepare(folder)
      try await write(bytes, to: temporary)
      return try await self.manifest(in: folder, of: name.source)
    }
    if let newer = manifest.newerWriter(than: name.epoch) {
      _ = try await onMedium { () async throws(StorageError) in try await removeIfThere(temporary) }
      throw .superseded(by: newer)
    }
    try await onMedium { () async throws(StorageError) in
      try await storage.here().rename(temporary, to: "\(folder)/\(name.fileName)")
      try await storage.here().syncDirectory(folder)
      try await changeManifest(.add, name)
    }
  }

  private func onMedium<Value>(_ body: () async throws(StorageError) -> Value) async throws(ObjectStoreError) -> Value {
    do throws(StorageError) { return try await body() } catch { throw .storage(error) }
  }

  public func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
    do throws(StorageError) {
      // One byte more than there can be: of a longer file that is enough to find out that it is no object.
      return try await read("\(path(of: name.source))/\(name.fileName)", atMost: SegmentObject.largest + 1)
    } catch {
      if error.isNotFound { throw .notFound(name) }
      throw .storage(error)
    }
  }

  public func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
    try await onMedium { () async throws(StorageError) in
      if let source { return try await objects(of: source) }
      var found: [ListedObject] = []
      for topic in try await names(in: root) where topic.isDirectory {
        for partition in try await names(in: "\(root)/\(topic.name)") where partition.isDirectory {
          guard let number = Int32(partition.name), number >= 0 else { continue }
          found += try await objects(of: TopicPartition(topic.name, PartitionID(Int(number))))
        }
      }
      return found.sorted { $0.name < $1.name }
    }
  }

  public func delete(_ name: ObjectName) async throws(ObjectStoreError) {
    try await onMedium { () async throws(StorageError) in
      let folder = path(of: name.source)
      // The manifest first: what it names must have been removed by somebody else.
      try await changeManifest(.remove, name)
      if try await removeIfThere("\(folder)/\(name.fileName)") { try await storage.here().syncDirectory(folder) }
    }
  }

  // MARK: Manifests

  /// What the manifest of a partition says, for whoever wants to know whether it is whole.
  public func manifestState(of source: TopicPartition) async throws(ObjectStoreError) -> ObjectManifest.State {
    try await onMedium { () async throws(StorageError) in try await manifest(in: path(of: source), of: source).state }
  }

  private func manifest(in folder: String, of source: TopicPartition) async throws(StorageError) -> ObjectManifest {
    do throws(StorageError) {
      return ObjectManifest(
        try await read("\(folder)/\(ObjectManifest.fileName)", atMost: ObjectManifest.largest), of: source)
    } catch {
      // Nor is one that cannot be read of any use: the objects themselves say what there is.
      guard error.isNotFound || error.isErrno(EIO) else { throw error }
      return ObjectManifest(state: error.isNotFound ? .absent : .damaged)
    }
  }

  private enum ManifestChange { case add, remove }

  private func changeManifest(_ change: ManifestChange, _ name: ObjectName) async throws(StorageError) {
    let source = name.source
    while !manifestIdle.isOpen { await manifestIdle.wait() }
    manifestIdle.shut()
    defer { manifestIdle.open() }
    let folder = path(of: source)
    var manifest = try await manifest(in: folder, of: source)
    // Made anew from what there is, where it was lost.
    if manifest.state != .whole { manifest.adopt(try await presentObjects(in: folder, of: source)) }
    let before = manifest
    switch change {
    case .add: manifest.add(name)
    case .remove: manifest.remove(name)
    }
    guard manifest != before || manifest.state != .whole else { return }
    attempts += 1
    let temporary = "\(folder)/\(ObjectManifest.fileName).\(name.epoch).\(attempts).partial"
    try await write(manifest.encoded(), to: temporary)
    try await storage.here().rename(temporary, to: "\(folder)/\(ObjectManifest.fileName)")
    try await storage.here().syncDirectory(folder)
  }

  // MARK: Folders

  private func path(of source: TopicPartition) -> String { "\(root)/\(source.topic)/\(source.partition)" }

  private func names(in directory: String) async throws(StorageError) -> [DirectoryEntry] {
    do throws(StorageError) { return try await storage.here().list(directory) } catch {
      if error.isNotFound { return [] }
      throw error
    }
  }

  private func presentObjects(in folder: String, of source: TopicPartition) async throws(StorageError) -> [ObjectName] {
    try await names(in: folder).compactMap { $0.isDirectory ? nil : ObjectName(fileName: $0.name, of: source) }
  }

  private func objects(of source: TopicPartition) async throws(StorageError) -> [ListedObject] {
    let folder = path(of: source)
    // The manifest first: what is put in between is then listed, and what is removed in between is not missed.
    let named = try await manifest(in: folder, of: source)
    let present = Set(try await presentObjects(in: folder, of: source))
    var found = present.map { ListedObject($0) }
    for name in named.names where !present.contains(name) {
      guard try await manifest(in: folder, of: source).names.contains(name) else { continue }
      found.append(ListedObject(name, isMissing: true))
    }
    return found.sorted { $0.name < $1.name }
  }

  /// Makes a partition's folder, and removes what puts that were cut short have left in it.
  private func prepare(_ folder: String) async throws(StorageError) {
    guard !prepared.contains(folder) else { return }
    try await directories.make(folder)
    for entry in try await names(in: folder) where entry.name.hasSuffix(".partial") {
      try await removeIfThere("\(folder)/\(entry.name)")
    }
    prepared.insert(folder)
  }

  // MARK: Files

  /// - Returns: whether it was there.
  @discardableResult
  private func removeIfThere(_ path: String) async throws(StorageError) -> Bool {
    do throws(StorageError) {
      try await storage.here().unlink(path)
      return true
    } catch {
      if error.isNotFound { return false }
      throw error
    }
  }

  private func write(_ bytes: [UInt8], to path: String) async throws(StorageError) {
    // Of a file that is there, a sync may have failed: its pages are not to be synced again.
    try await removeIfThere(path)
    let file = try await storage.here().open(path, [.write, .create])
    do throws(StorageError) {
      let buffer = storage.makeBuffer(capacity: min(Self.pieceSize, bytes.count))
      var at = 0
      while at < bytes.count {
        let count = min(buffer.capacity, bytes.count - at)
        bytes.withUnsafeBytes { buffer.base.copyMemory(from: $0.baseAddress! + at, byteCount: count) }
        try await storage.here().writeWhole(file, path, at: Int64(at), from: buffer, 0..<count)
        at += count
      }
      try await storage.here().sync(file, .all)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }

  private func read(_ path: String, atMost limit: Int64) async throws(StorageError) -> [UInt8] {
    let file = try await storage.here().open(path, [])
    do throws(StorageError) {
      let size = min(try await storage.here().size(of: file), limit)
      let buffer = storage.makeBuffer(capacity: max(1, min(Self.pieceSize, Int(size))))
      var bytes: [UInt8] = []
      bytes.reserveCapacity(Int(size))
      var attempts = 0
      while bytes.count < Int(size) {
        let count = min(buffer.capacity, Int(size) - bytes.count)
        do throws(StorageError) {
          let got = try await storage.here().read(file, at: Int64(bytes.count), into: buffer, 0..<count)
          if got == 0 { break }
          bytes.append(contentsOf: buffer[0..<got])
          attempts = 0
        } catch {
          attempts += 1
          guard error.isErrno(EINTR) || error.isErrno(EAGAIN), attempts < RetryingStorage.attempts else { throw error }
          await storage.loop.sleep(until: storage.loop.now + .microseconds(100))
        }
      }
      await storage.close(file)
      return bytes
    } catch {
      await storage.close(file)
      throw error
    }
  }
}
