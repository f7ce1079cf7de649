import Glibc

/// Edits past every machine, on the medium and in the cache: damage at rest. To be made while no storage works on the
/// files.
extension MemoryDisk {
  /// Puts `bytes` at `offset`, in a new file where there is none; both are durable. Zeros fill a gap before them.
  /// - Throws: `StorageError` where the path's directory does not exist, or `path` is one.
  public func putAtRest(_ path: String, _ bytes: [UInt8], at offset: Int64) throws(StorageError) {
    let i = if let found = try file(at: path, [.write, .create]) { found } else { try create(path) }
    guard let file = ownedFile(i) else { throw StorageError(errno: EBADF, .write, path, offset: offset) }
    bytes.withUnsafeBytes { source in
      if let base = source.baseAddress { file.write(base, source.count, at: offset, to: .both) }
    }
    try makeEntryDurable(path, .open)
  }

  /// Cuts or extends the file to `size` bytes.
  /// - Throws: `StorageError` where there is no such file.
  public func truncateAtRest(_ path: String, to size: Int64) throws(StorageError) {
    guard let i = try file(at: path, [.write]), let file = ownedFile(i) else {
      throw StorageError(errno: ENOENT, .truncate, path, offset: size)
    }
    file.truncateBoth(to: size)
  }

  /// Removes the file and its durable entry.
  /// - Throws: `StorageError` where there is no such file.
  public func removeAtRest(_ path: String) throws(StorageError) {
    try apply(.unlink(path))
    try makeEntryDurable(path, .unlink)
    collectGarbage()
  }

  private func makeEntryDurable(_ path: String, _ kind: OperationKind) throws(StorageError) {
    let (parent, name) = try place(of: path, kind)
    guard let directory = ownedDirectory(parent) else { return }
    directory.durable[name] = directory.visible[name]
  }
}
