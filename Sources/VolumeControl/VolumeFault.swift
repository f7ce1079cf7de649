import Glibc
import Volume

/// What goes wrong with an operation of a mounted volume, and with which: as it is said on the command line.
package struct VolumeFault: Sendable, Hashable, Codable {
  /// A word of `kinds`.
  package var operation: String
  /// A path from the volume's root, with `*` and `?`; nil is any.
  package var pattern: String?
  package var effect: VolumeFaultEffect
  /// A word of `errors`.
  package var error: String
  /// The first that is hit of those that match, from 1.
  package var first: Int
  /// How many are hit; nil is all from there on.
  package var count: Int?
  /// Only what touches this byte of its file, from 0.
  package var byte: UInt64?
  /// From the write on with which more than so many bytes have been written to matching files since the fault was set.
  package var written: UInt64?
  /// Not before so many nanoseconds after the fault was set.
  package var after: UInt64
  /// Of a stall, nanoseconds.
  package var delay: UInt64

  package static let kinds: [String: VolumeOperationKind] = [
    "write": .write, "fsync": .sync, "fsyncdir": .syncDirectory, "create": .create, "open": .open, "read": .read,
    "rename": .rename, "unlink": .unlink, "mkdir": .makeDirectory, "rmdir": .removeDirectory, "truncate": .truncate,
    "fallocate": .allocate, "link": .link, "symlink": .symlink,
  ]
  package static let errors: [String: Int32] = [
    "EIO": EIO, "ENOSPC": ENOSPC, "EDQUOT": EDQUOT, "EROFS": EROFS, "EMFILE": EMFILE, "ENOMEM": ENOMEM,
  ]

  package init(
    _ operation: String, pattern: String? = nil, _ effect: VolumeFaultEffect? = nil, error: String = "EIO",
    first: Int = 1, count: Int? = nil, byte: UInt64? = nil, written: UInt64? = nil, after: UInt64 = 0,
    delay: UInt64 = 1_000_000_000
  ) {
    (self.operation, self.pattern, self.error) = (operation, pattern, error)
    self.effect = effect ?? (operation == "fsync" ? .pagesKept : .error)
    (self.first, self.count, self.byte, self.written) = (first, count, byte, written)
    (self.after, self.delay) = (after, delay)
  }

  /// Why there can be no such fault, and what to say instead; nil where there can.
  package var problem: String? {
    func words(_ all: some Collection<String>) -> String { all.sorted().joined(separator: ", ") }
    guard Self.kinds[operation] != nil else { return "fail: one of \(words(Self.kinds.keys))" }
    guard Self.errors[error] != nil else { return "--error \(error): one of \(words(Self.errors.keys))" }
    if first < 1 || count ?? 1 < 1 { return "--nth and --count: from 1" }
    if !effect.operations.isEmpty, !effect.operations.contains(operation) {
      return "--how \(effect.rawValue): only of \(words(effect.operations))"
    }
    if byte != nil, !["write", "read", "fallocate"].contains(operation) {
      return "--byte: only of fallocate, read, write; the others have no place in a file"
    }
    if effect == .unreadable, byte == nil { return "--how unreadable: say --byte, which is in the sector" }
    if written != nil, operation != "write" { return "--written: only of write" }
    if effect == .stall, delay == 0 { return "--for: more than nothing" }
    return nil
  }

  var kind: VolumeOperationKind { Self.kinds[operation]! }
  var code: Int32 { Self.errors[error]! }
  /// The bytes of the sector that cannot be read.
  var sector: Range<UInt64>? { effect != .unreadable ? nil : byte.map { $0 / 512 * 512..<$0 / 512 * 512 + 512 } }

  func matchesPath(_ path: String) -> Bool {
    guard let pattern else { return true }
    return fnmatch(pattern.hasPrefix("/") ? pattern : "/" + pattern, path, 0) == 0
  }

  /// Whether the operation is of those that are counted.
  func matches(_ request: VolumeRequest) -> Bool {
    guard request.kind == kind, matchesPath(request.path) else { return false }
    let end = request.offset + request.length
    if let sector { return request.offset < sector.upperBound && end > sector.lowerBound }
    return byte.map { request.offset <= $0 && $0 < end } ?? true
  }

  /// What becomes of an operation.
  /// - Parameter room: bytes of a write that come before the byte at which the fault begins.
  func decision(_ request: VolumeRequest, room: Int) -> VolumeDecision {
    let length = Int(request.reach)
    switch effect {
    // `man 2 write`: what has room is written and counted; the errno is for who has room for nothing.
    case .error where room > 0 && (code == ENOSPC || code == EDQUOT): return .short(room)
    case .error, .unreadable: return .fail(code)
    case .errorAfter: return .failAfter(code)
    case .short: return .short(room > 0 ? room : length / 2)
    case .lost: return .lost
    case .torn: return .torn(kept: [0..<tornLength(request, room)], error: 0)
    case .misdirected: return .misdirected(to: request.offset + 4096)
    case .flipped: return .flipped(bits: [room > 0 ? room * 8 : Int(request.offset &* 31 % max(1, request.length * 8))])
    case .stall: return .delayed(nanoseconds: delay, then: .proceed)
    case .pagesKept: return .syncFails(code, .kept)
    case .pagesDropped: return .syncFails(code, .dropped)
    case .pagesReverted: return .syncFails(code, .evicted)
    case .reportedLate: return .syncFailsLate(code, .sync)
    case .reportedAtClose: return .syncFailsLate(code, .close)
    case .lying: return .syncLies
    }
  }

  /// Up to the byte, or half of the write up to the end of a sector of 512 bytes where it has one inside.
  private func tornLength(_ request: VolumeRequest, _ room: Int) -> Int {
    if room > 0 { return room }
    let middle = request.offset + request.length / 2
    let sector = middle / 512 * 512
    return Int((sector > request.offset ? sector : middle) - request.offset)
  }
}

/// In which way an operation goes wrong.
package enum VolumeFaultEffect: String, Sendable, Hashable, Codable, CaseIterable {
  /// The errno, and nothing has happened.
  case error
  /// The errno, and it has happened.
  case errorAfter = "error-after"
  /// Half of a write is taken, or of a read brought, and the answer says so.
  case short
  /// Answered with success, and not stored.
  case lost
  /// Half of it is stored, to a sector.
  case torn
  /// Stored 4096 bytes behind its place.
  case misdirected
  /// A bit turns over, of a write or of what a read brings.
  case flipped
  /// It takes longer.
  case stall
  /// The sector of 512 bytes with the byte cannot be read, until a write covers it or a truncation takes it away.
  case unreadable
  case pagesKept = "pages-kept"
  case pagesDropped = "pages-dropped"
  case pagesReverted = "pages-reverted"
  case reportedLate = "reported-late"
  case reportedAtClose = "reported-at-close"
  case lying

  /// Of which operations; empty of any.
  var operations: Set<String> {
    switch self {
    case .error, .errorAfter, .stall: []
    case .short, .flipped: ["write", "read"]
    case .lost, .torn, .misdirected: ["write"]
    case .unreadable: ["read"]
    case .pagesKept, .pagesDropped, .pagesReverted, .reportedLate, .reportedAtClose: ["fsync"]
    case .lying: ["fsync", "fsyncdir"]
    }
  }
}
