import Defects
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// How the engine is set up behind the driver protocol: by options of the command, and by the `config` of `open`.
public struct EngineSettings: Sendable {
  public var syncPolicy = SyncPolicy.always
  public var recoveryPolicy = RecoveryPolicy.skipCorrupted
  /// Bytes after which a log begins a new segment. So small that a hundred requests make several.
  public var segmentBytes = 16 << 10
  /// Files by plain system calls, or by io_uring.
  public var storage = StorageChoice.posix
  /// Nil is the sound engine.
  public var defect: Defect?

  /// What a segment may have, in bytes; see `LogConfiguration`.
  public static let segmentSizes = 16 << 10...4 << 30

  public init() {}

  /// Takes the members of a `config` object over what is there.
  /// - Throws: what is wrong with a member, and what it may be.
  public mutating func take(_ config: [String: Any]) throws(EngineDriverError) {
    for (key, value) in config.sorted(by: { $0.key < $1.key }) {
      let text = value as? String ?? "\(value)"
      switch key {
      case "sync":
        guard let policy = SyncPolicy(text) else {
          throw .config(key, text, "always, interval(100ms) or never")
        }
        syncPolicy = policy
      case "recovery":
        guard let policy = RecoveryPolicy(rawValue: text) else {
          throw .config(key, text, RecoveryPolicy.allCases.map(\.rawValue).joined(separator: " or "))
        }
        recoveryPolicy = policy
      case "segment":
        guard let bytes = value as? Int, Self.segmentSizes ~= bytes else {
          throw .config(key, text, "bytes, from 16384 to 4294967296")
        }
        segmentBytes = bytes
      case "storage":
        guard let choice = StorageChoice(rawValue: text), choice != .memory else {
          throw .config(key, text, "posix, ring or auto")
        }
        storage = choice
      case "defect": try setDefect(text)
      default: throw .unknownKey(key)
      }
    }
  }

  private mutating func setDefect(_ id: String) throws(EngineDriverError) {
    if id == "none" {
      defect = nil
      return
    }
    let named: Defect
    do throws(DefectClash) { named = try Defect.named(id) } catch { throw .config("defect", id, "\(error)") }
    if let obstacle = named.obstacle(on: Self.ground) { throw .config("defect", id, "\(obstacle)") }
    defect = named
  }

  /// What there is for a defect to act in.
  public static let ground = DefectGround(.engine)

  /// Buffers and zero-fills are as small as those of `explore crashes --reference`, so that a short workload meets all
  /// that the engine does. The salts follow from nothing but the log and its writer: a run can be repeated.
  var configuration: EngineConfiguration {
    EngineConfiguration(
      log: LogConfiguration(
        syncPolicy: syncPolicy, recoveryPolicy: recoveryPolicy, segmentBytes: Int64(segmentBytes),
        commitBytes: 32 << 10, recentBatches: 8, recentBytes: 16 << 10, firstPreallocation: 4 << 10,
        largestPreallocation: 8 << 10, saltSeed: 1))
  }
}

/// A request that nobody could carry out: the driver's own failure.
public enum EngineDriverError: Error, Hashable, Sendable, CustomStringConvertible {
  case unknownKey(String)
  case config(String, String, String)
  case unknownOperation(String)
  case notOpen
  case alreadyOpen
  case missing(String)

  public var description: String {
    switch self {
    case .unknownKey(let key):
      "config has '\(key)', and knows sync, recovery, segment, storage and defect only"
    case .config(let key, let value, let wanted): "config has '\(key)': '\(value)'; it may be \(wanted)"
    case .unknownOperation(let name): "there is no operation '\(name)'; 'hello' names those that there are"
    case .notOpen: "the log is not open; send 'open' first"
    case .alreadyOpen: "a log is open; send 'close' first"
    case .missing(let member): "the request has no '\(member)'; docs/driver-protocol.md has what each must have"
    }
  }
}
