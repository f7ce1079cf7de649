/// Which kind of data a program keeps.
package enum ProgramModel: String, Sendable, Hashable, CaseIterable {
  /// Records in the order in which they were appended.
  case log
  /// Keys with one value each; each write stands for itself.
  case map
  /// Items that are appended at one end, and taken and confirmed at the other.
  case queue
  /// A map whose writes come in groups: all of a group or nothing.
  case transactions
}

/// What an acknowledgement promises of a crash after it.
package enum ProgramPromise: Sendable, Hashable, CustomStringConvertible {
  /// What was acknowledged survives.
  case acknowledged
  /// What was acknowledged before a `flush` began survives once the flush is acknowledged.
  case flushed
  /// What was acknowledged this long before the crash, or longer, survives. So does what a flush covers.
  case interval(Duration)
  /// Anything may be lost. What is there must still be a state that the program has been in: a map as a whole, each log
  /// and each queue by itself.
  case nothing

  /// `acknowledged`, `flushed`, `interval(1s)`, `interval(100ms)` or `nothing`; nil for anything else.
  package init?(_ text: String) {
    switch text {
    case "acknowledged": self = .acknowledged
    case "flushed": self = .flushed
    case "nothing": self = .nothing
    default:
      guard text.hasPrefix("interval("), text.hasSuffix(")") else { return nil }
      let inner = text.dropFirst(9).dropLast()
      let units: [(String, Int64)] = [("ms", 1_000_000), ("us", 1000), ("s", 1_000_000_000)]
      for (unit, nanoseconds) in units where inner.hasSuffix(unit) {
        let digits = inner.dropLast(unit.count)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int64(digits), count > 0,
          count < 1_000_000
        else { return nil }
        self = .interval(.nanoseconds(count * nanoseconds))
        return
      }
      return nil
    }
  }

  package var description: String {
    switch self {
    case .acknowledged: return "acknowledged"
    case .flushed: return "flushed"
    case .nothing: return "nothing"
    case .interval(let duration):
      let nanoseconds = duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
      if nanoseconds % 1_000_000_000 == 0 { return "interval(\(nanoseconds / 1_000_000_000)s)" }
      if nanoseconds % 1_000_000 == 0 { return "interval(\(nanoseconds / 1_000_000)ms)" }
      return "interval(\(nanoseconds / 1000)us)"
    }
  }
}

/// A documented weakness that is not to be reported. It forgives what it says, and nothing else.
package enum ProgramAllowance: String, Sendable, Hashable, CaseIterable {
  /// The last acknowledged writes may be gone: what is left is what there was at an earlier moment. It forgives no loss
  /// of what a flush covers. As of SQLite with WAL and synchronous=NORMAL ("a transaction committed in WAL mode with
  /// synchronous=NORMAL might roll back following
  /// a power loss", sqlite.org/pragma.html#pragma_synchronous).
  case suffixLoss = "suffix-loss"
  /// Of the last acknowledged writes any may be gone, and later ones be there. It forgives what `suffixLoss` forgives,
  /// and holes. As of LevelDB without sync: it goes on behind a damaged block of its log ("if the machine crashes, some
  /// recent writes may be lost", leveldb/options.h).
  case holeLoss = "hole-loss"
  /// An item that was taken and confirmed may come again, at any place of its queue. As of queues that
  /// deliver at least once.
  case redelivery
  /// A record may be there more than once. The first counts for the order; one must be at the position that the program
  /// had said. As of a producer that sends again.
  case duplicates
  /// The program's own check may complain.
  case failedCheck = "failed-check"
  /// The program may refuse to open, and say so. As of LevelDB with paranoid_checks, whose RepairDB is the user's to
  /// call.
  case refusal

  /// In one sentence, for lists.
  package var text: String {
    switch self {
    case .suffixLoss: "the last acknowledged writes may be gone, all from some moment on"
    case .holeLoss: "of the last acknowledged writes any may be gone, and later ones be there"
    case .redelivery: "an item that was taken may come again"
    case .duplicates: "a record may be there more than once"
    case .failedCheck: "the program's own check may complain"
    case .refusal: "the program may refuse to open"
    }
  }
}

/// What a program is held to.
package struct ProgramContract: Sendable, Hashable {
  package var model: ProgramModel
  package var promise: ProgramPromise
  package var allowances: Set<ProgramAllowance>

  /// What a crash takes is an end of the order in which writes were made.
  package var losesInOrder: Bool { !allowances.contains(.holeLoss) }

  package init(_ model: ProgramModel, _ promise: ProgramPromise = .acknowledged, allowances: Set<ProgramAllowance> = [])
  {
    (self.model, self.promise, self.allowances) = (model, promise, allowances)
  }
}
