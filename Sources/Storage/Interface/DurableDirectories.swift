/// Makes directories whose entries are on the medium when it returns, one call at a time.
///
/// A directory that is there already, and empty, may be the leftover of a call, or of a process, whose sync failed. A
/// sync that succeeds after one that failed says nothing of what that one was to cover (`man 2 fsync`; Rebello et al.,
/// "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So its entry is made anew, by renaming it there
/// and back. The entry of one that holds something is durable: nothing is put into any before it is.
public final class DurableDirectories: @unchecked Sendable {
  // Owned by the loop of its storage.

  /// No name of a topic: nothing is lost where a crash leaves it behind, for only an empty directory ever bears it.
  private static let spare = "~"

  private let storage: any Storage
  private let idle = AsyncEvent(isOpen: true)
  /// Those whose sync has returned, or that held something. They are not listed again: a topic of n partitions would
  /// list n entries for each of them. Who renames or removes one must say so (`forget`).
  private var durable: Set<String> = []

  public init(_ storage: any Storage) { self.storage = storage }

  /// Makes those of a topic's partitions.
  public func make(for topic: String, _ partitions: Range<Int>) async throws(StorageError) {
    try await alone { () async throws(StorageError) in
      let folder = "topics/\(topic)"
      try await makeDurable("topics", in: "")
      try await makeDurable(folder, in: "topics")
      for number in partitions { _ = try await prepare("\(folder)/\(number)") }
      try await storage.here().syncDirectory(folder)
    }
  }

  /// Makes one, and those that it lies in.
  public func make(_ path: String) async throws(StorageError) {
    try await alone { () async throws(StorageError) in
      var parent = ""
      for part in path.split(separator: "/") {
        let folder = parent.isEmpty ? String(part) : "\(parent)/\(part)"
        try await makeDurable(folder, in: parent)
        parent = folder
      }
    }
  }

  /// Has somebody rename or remove a directory: it, and what lies in it, is made anew when it is asked for.
  public func forget(_ path: String) { durable = durable.filter { $0 != path && !$0.hasPrefix(path + "/") } }

  private func makeDurable(_ folder: String, in parent: String) async throws(StorageError) {
    guard !durable.contains(folder) else { return }
    if try await prepare(folder) { try await storage.here().syncDirectory(parent) }
    durable.insert(folder)
  }

  private func alone(_ body: () async throws(StorageError) -> Void) async throws(StorageError) {
    while !idle.isOpen { await idle.wait() }
    idle.shut()
    defer { idle.open() }
    try await body()
  }

  /// - Returns: whether its entry is still to be synced.
  private func prepare(_ path: String) async throws(StorageError) -> Bool {
    let entries: [DirectoryEntry]
    do throws(StorageError) { entries = try await storage.here().list(path) } catch {
      guard error.isNotFound else { throw error }
      try await storage.here().makeDirectory(path)
      return true
    }
    guard entries.isEmpty else { return false }
    let spare = path.lastIndex(of: "/").map { path[...$0] + Self.spare } ?? Self.spare
    try await storage.here().rename(path, to: spare)
    try await storage.here().rename(spare, to: path)
    return true
  }
}
