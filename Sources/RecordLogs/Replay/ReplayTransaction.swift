import Storage

/// Why the replay buffer refused or failed.
public enum ReplayBufferError: Error, Hashable, Sendable {
  case log(RecordLogError)
  /// What an earlier process has left unfinished has not been replayed yet; `recover` comes first.
  case recoveryPending
  /// There is no such transaction, or it is finished.
  case unknownTransaction(UInt64)
  /// The transaction is not where this operation belongs.
  case outOfOrder(UInt64, ReplayCodec.Operation, after: ReplayTransaction.Stage)
  /// A user's name has 1 to 65535 bytes.
  case badUser(bytes: Int)
  /// A policy that cuts a log at its first damage. Nothing was opened.
  case cuttingPolicy
}

extension ReplayBufferError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .log(let error): "\(error)"
    case .recoveryPending: "buffers of an earlier process wait for their replay; call recover first"
    case .unknownTransaction(let number): "there is no transaction \(number) that is not finished"
    case .outOfOrder(let number, let operation, let stage):
      "transaction \(number) is \(stage): \(operation) does not follow"
    case .cuttingPolicy: "a compressed file cannot be cut at its damage; open the buffer with a policy that skips it"
    case .badUser(let bytes): "a user's name has 1 to 65535 bytes, not \(bytes)"
    }
  }
}

/// One user's buffer from its start to its commit or its rollback, as the log tells it.
///
/// | stage | what was last | what recovery does |
/// |---|---|---|
/// | `filling` | START_BUFFER or ADD_MEASUREMENT | replays it |
/// | `ended` | END_BUFFER | replays it |
/// | `replaying` | CHECKPOINT | replays it again: whoever replays knows the transaction's number |
/// | finished | COMMIT or ROLLBACK | nothing |
public struct ReplayTransaction: Hashable, Sendable {
  public enum Stage: String, Hashable, Sendable {
    case filling, ended, replaying
  }

  /// From 1, used once in a log.
  public let number: UInt64
  public let user: String
  /// The user's name as it stands in the log: bytes that are no text become others in a text, and more of them.
  let userBytes: [UInt8]
  public internal(set) var stage = Stage.filling
  /// In the order in which they were added.
  public internal(set) var measurements: [[UInt8]] = []
  /// Measurements that END_BUFFER counts and the log has no more; their loss is among the recovery's damage.
  public internal(set) var missing = 0
  /// The file of the log where it begins.
  var firstFile: Int

  init(number: UInt64, user: [UInt8], firstFile: Int) {
    self.number = number
    self.user = String(decoding: user, as: UTF8.self)
    userBytes = user
    self.firstFile = firstFile
  }
}

/// Follows the entries of a log to the transactions that are not finished. Memory: their measurements, which were in
/// memory before the crash too.
struct ReplayTable {
  private(set) var open: [UInt64: ReplayTransaction] = [:]
  private(set) var last: UInt64 = 0
  private(set) var committed = 0
  private(set) var rolledBack = 0

  /// Unfinished transactions in their order.
  var unfinished: [ReplayTransaction] { open.values.sorted { $0.number < $1.number } }

  /// One that begins with another entry than START_BUFFER has lost it: every entry names its user.
  mutating func take(_ entry: ReplayCodec.Record, in file: Int) {
    let number = entry.transaction
    // No log gets so far: whatever its checksum says, it is not of this one.
    guard number <= UInt64(1) << 62 else { return }
    last = max(last, number)
    // A mark: see `ReplayBuffer.maintain`.
    if entry.user.isEmpty {
      guard entry.payload.count == 8, let base = entry.payload.baseAddress else { return }
      let first = Int(clamping: base.little(0, UInt64.self))
      open = open.filter { $0.value.firstFile >= first }
      return
    }
    switch entry.operation {
    case .commit, .rollback:
      if entry.operation == .commit { committed += 1 } else { rolledBack += 1 }
      open[number] = nil
    case .startBuffer: update(entry, file) { _ in }
    case .addMeasurement: update(entry, file) { $0.measurements.append(Array(entry.payload)) }
    case .endBuffer:
      update(entry, file) { transaction in
        transaction.stage = .ended
        guard entry.payload.count == 8, let base = entry.payload.baseAddress else { return }
        transaction.missing = max(0, Int(clamping: base.little(0, UInt64.self)) - transaction.measurements.count)
      }
    case .checkpoint: update(entry, file) { $0.stage = .replaying }
    }
  }

  private mutating func update(_ entry: ReplayCodec.Record, _ file: Int, _ change: (inout ReplayTransaction) -> Void) {
    let number = entry.transaction
    var transaction =
      open[number]
      ?? ReplayTransaction(number: number, user: Array(entry.user), firstFile: file)
    change(&transaction)
    open[number] = transaction
  }
}
