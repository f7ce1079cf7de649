import FaultInjection
import Storage

/// The sizes of the metadata log's files, copy by copy, as the operations of one life tell them: what a segment's file
/// has, and what stands under other names no more.
struct MetadataGauge {
  private static let prefixes = FaultTarget.metadataCopies.map { $0 + "/" }

  private var sizes: [String: Int64] = [:]

  /// What an operation has come to.
  struct Change: Equatable {
    /// Index of the copy.
    var copy: Int
    /// Bytes of its files together, from now on.
    var total: Int64
    /// Bytes that a file has become longer by.
    var growth: Int64
  }

  private static func copy(of path: String) -> Int? {
    guard path.hasPrefix("metadata"), path.hasSuffix(".log") else { return nil }
    return prefixes.firstIndex { path.hasPrefix($0) }
  }

  /// - Parameter result: of the operation, as a number; see `StorageWrapper.pass`.
  /// - Returns: nil where it has changed no size.
  mutating func note(_ call: StorageCall, _ result: Int64) -> Change? {
    guard let copy = Self.copy(of: call.path) else { return nil }
    let before = sizes[call.path]
    var growth: Int64 = 0
    switch call.kind {
    case .size: sizes[call.path] = max(result, before ?? 0)
    case .write:
      let size = max(call.offset + result, before ?? 0)
      growth = size - (before ?? 0)
      sizes[call.path] = size
    case .truncate:
      growth = max(0, call.offset - (before ?? 0))
      sizes[call.path] = call.offset
    case .unlink: sizes[call.path] = nil
    case .rename:
      sizes[call.path] = nil
      if let target = call.destination, Self.copy(of: target) != nil { sizes[target] = before }
    default: return nil
    }
    guard sizes[call.path] != before else { return nil }
    let total = sizes.reduce(Int64(0)) { $1.key.hasPrefix(Self.prefixes[copy]) ? $0 + $1.value : $0 }
    return Change(copy: copy, total: total, growth: growth)
  }
}
