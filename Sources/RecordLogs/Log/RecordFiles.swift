import Storage

/// The files of one log in its directory: `<name>.wal`, then `<name>.wal.1`, `<name>.wal.2` and so on as it is rotated
/// (Streamhouse runbook, "Enable WAL Rotation"); `.gz` after that for one that has been compressed; `<name>.lock` for
/// the writer's lock.
///
/// What recovery takes out of a log stands beside it: `<file>.cut-BYTE` holds what stood in a file from that byte on,
/// `<file>.cut` is a whole file; a number follows (`.2`) where that name was taken. No log takes these for its own.
package struct RecordFiles: Hashable, Sendable {
  let directory: String
  let name: String

  func path(_ number: Int) -> String { inDirectory(number == 0 ? "\(name).wal" : "\(name).wal.\(number)") }
  func compressedPath(_ number: Int) -> String { path(number) + ".gz" }
  var lockPath: String { inDirectory("\(name).lock") }

  private func inDirectory(_ file: String) -> String { directory.isEmpty ? file : "\(directory)/\(file)" }

  /// Whether a file of that name holds records of some log.
  package static func isLog(_ name: String) -> Bool {
    let digits = name.utf8.reversed().prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    return name.hasSuffix(".wal") || !digits.isEmpty && name.dropLast(digits.count).hasSuffix(".wal.")
  }

  /// No log has so many files: a name with a larger number was given by nobody.
  private static let largestNumber = 1 << 30

  struct Entry: Hashable {
    var number: Int
    var isCompressed: Bool
  }

  /// The file that a name in the directory stands for; nil for names that `path` and `compressedPath` do not make.
  /// Another log's name never matches, however alike the two are (H9).
  func entry(_ file: String) -> Entry? {
    let isCompressed = file.hasSuffix(".gz")
    let plain = isCompressed ? file.dropLast(3) : file[...]
    guard plain.hasPrefix(name + ".wal") else { return nil }
    let rest = plain.dropFirst(name.count + 4)
    if rest.isEmpty { return Entry(number: 0, isCompressed: isCompressed) }
    guard rest.first == ".", let number = Int(rest.dropFirst()), (1...Self.largestNumber).contains(number),
      rest == ".\(number)"
    else { return nil }
    return Entry(number: number, isCompressed: isCompressed)
  }

  /// The files of the log by their numbers. One that is there both plain and compressed counts as plain: its removal
  /// was what came next.
  func present(in storage: any Storage) async throws(StorageError) -> [Entry] {
    var byNumber: [Int: Entry] = [:]
    for file in try await storage.here().list(directory) where !file.isDirectory {
      guard let entry = entry(file.name) else { continue }
      if entry.isCompressed, byNumber[entry.number] != nil { continue }
      byNumber[entry.number] = entry
    }
    return byNumber.values.sorted { $0.number < $1.number }
  }
}
