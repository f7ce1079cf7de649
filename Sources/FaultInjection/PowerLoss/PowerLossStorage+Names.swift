import Glibc
import LogModel
import Storage

extension PowerLossStorage {
  func keptPath() async throws(StorageError) -> String {
    try await base.makeDirectory(Self.undoFolder)
    return "\(Self.undoFolder)/\(nextUnique())"
  }

  func isDirectory(_ path: String) async throws(StorageError) -> Bool {
    do throws(StorageError) { _ = try await base.list(path) } catch {
      if error.isNotFound || error.isErrno(ENOTDIR) { return false }
      throw error
    }
    return true
  }

  /// The file at `path` is now at `newPath`; nil where nothing is known of it.
  func moveRecord(_ path: String, to newPath: String) {
    guard let record = byPath.removeValue(forKey: path) else { return }
    record.path = newPath
    byPath[newPath] = record
  }

  func makeDirectoryRecorded(_ path: String) async throws(StorageError) {
    var missing: [String] = []
    var prefix = ""
    for name in path.split(separator: "/") {
      prefix = prefix.isEmpty ? String(name) : "\(prefix)/\(name)"
      do throws(StorageError) { _ = try await base.list(prefix) } catch {
        guard error.isNotFound else { break }
        missing.append(prefix)
      }
    }
    try await base.makeDirectory(path)
    for made in missing { journal.append(.madeDirectory(made)) }
  }

  func unlinkRecorded(_ path: String) async throws(StorageError) {
    if try await isDirectory(path) { throw StorageError(errno: EISDIR, .unlink, path) }
    let kept = try await keptPath()
    do throws(StorageError) { try await base.rename(path, to: kept) } catch {
      throw StorageError(error.code, .unlink, path)
    }
    moveRecord(path, to: kept)
    journal.append(.removed(path, kept: kept))
  }

  func renameRecorded(_ path: String, to newPath: String) async throws(StorageError) {
    let sourceIsDirectory = try await isDirectory(path)
    let targetIsDirectory = try await isDirectory(newPath)
    if path == newPath || targetIsDirectory { return try await base.rename(path, to: newPath) }
    var replaced: String?
    if !sourceIsDirectory {
      let kept = try await keptPath()
      do throws(StorageError) {
        try await base.rename(newPath, to: kept)
        replaced = kept
        moveRecord(newPath, to: kept)
      } catch { guard error.isNotFound else { throw StorageError(error.code, .rename, path) } }
    }
    do throws(StorageError) { try await base.rename(path, to: newPath) } catch {
      if let replaced {
        try await base.rename(replaced, to: newPath)
        moveRecord(replaced, to: newPath)
      }
      throw error
    }
    if sourceIsDirectory {
      let inside = byPath.keys.filter { $0.hasPrefix(path + "/") }
      for old in inside.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
        moveRecord(old, to: newPath + old.dropFirst(path.count))
      }
    } else {
      moveRecord(path, to: newPath)
    }
    journal.append(.renamed(path, to: newPath, replaced: replaced))
  }

  func syncDirectoryRecorded(_ path: String) async throws(StorageError) {
    let number = nextUnique()
    let covered = journal.covered(by: path)
    directorySyncs[number] = covered
    do throws(StorageError) { try await base.syncDirectory(path) } catch {
      if !isCut { directorySyncs[number] = nil }
      throw error
    }
    if isCut { return }
    directorySyncs[number] = nil
    for kept in journal.makeDurable(covered) { try await forget(kept) }
  }

  /// Frees a file whose removal is durable, or has been resolved.
  func forget(_ kept: String) async throws(StorageError) {
    if let record = byPath.removeValue(forKey: kept) {
      records.removeAll { $0 === record }
      if let reader = record.reader { await base.close(reader) }
      record.reader = nil
    }
    try await base.unlink(kept)
  }
}
