import FaultInjection
import LogModel
import Storage

/// How an operation fails.
public enum InjectedError: String, Hashable, Sendable, CaseIterable {
  /// EIO, and nothing has happened. Of a sync: its pages count as clean from then on (Rebello et al., ATC 2020).
  case eio = "EIO"
  /// EIO, and the first sectors of the write are there.
  case eioPartly = "EIO-partly"
  /// EIO, and the operation has happened.
  case eioAfterwards = "EIO-afterwards"
  case enospc = "ENOSPC"
  case edquot = "EDQUOT"
  /// A write takes fewer bytes than it was given, and says so.
  case short
  case eintr = "EINTR"
  case eagain = "EAGAIN"
  /// Once: a second late. Sticky: it never ends, and the life is cut off by the power.
  case stall
}

/// How long an error lasts once it has begun.
public enum ErrorLasting: String, Hashable, Sendable, CaseIterable {
  case once
  /// Every such operation from then on, until the fault is lifted.
  case sticky
  /// Until a removal or a truncation has succeeded, or somebody else has made room.
  case untilSpaceFreed = "until-space-freed"
}

/// One cell of the matrix: a kind of operation, how it fails, and for how long.
public struct ErrorCell: Hashable, Sendable, CustomStringConvertible {
  /// Nil: operations of any kind, counted together.
  public var kind: OperationKind?
  public var error: InjectedError
  public var lasting: ErrorLasting

  public var description: String { "\(kind?.rawValue ?? "any") \(error.rawValue) \(lasting.rawValue)" }

  /// Every combination, the impossible ones among them.
  public static let all: [ErrorCell] = (EngineCallSite.kinds.map(Optional.some) + [nil]).flatMap { kind in
    InjectedError.allCases.flatMap { error in
      ErrorLasting.allCases.map { ErrorCell(kind: kind, error: error, lasting: $0) }
    }
  }

  /// Why no storage behaves so; nil where one may.
  public var impossible: String? {
    if lasting == .untilSpaceFreed, error != .enospc, error != .edquot, error != .short {
      return "room does not end it"
    }
    guard let kind else { return error == .eio || error == .stall ? nil : "the kinds have rows of their own" }
    switch error {
    case .eio, .stall: return nil
    case .eioPartly: return kind == .write ? nil : "it is there or it is not"
    case .eioAfterwards:
      return Self.changes.contains(kind) ? nil : "nothing is left behind that could have happened or not"
    case .enospc, .edquot:
      return Self.can(kind, .noSpace) ? nil : "its page of the manual (section 2) has no ENOSPC or EDQUOT"
    case .short:
      return kind == .write
        ? nil : "`Storage.read` carries on until the file's end, `FileStorage` and `RingStorage` below it too"
    case .eintr: return Self.can(kind, .interrupted) ? nil : "its page of the manual (section 2) has no EINTR"
    case .eagain:
      return Self.can(kind, .tryAgain)
        ? nil : "only transfers that find no room in a queue, and locks that are held, end with EAGAIN"
    }
  }

  private static let changes: Set<OperationKind> = [
    .open, .write, .sync, .truncate, .makeDirectory, .syncDirectory, .rename, .unlink,
  ]

  /// Whether the operation can end so, by its page of the manual.
  private static func can(_ kind: OperationKind, _ fault: FaultKind) -> Bool {
    StorageFaultDescriptor.of(fault).documentedOperations.contains(kind)
  }

  /// The fault that hits the `n`th such operation, from 1. Counted are those only that can meet it: of `open` and
  /// ENOSPC, those that may create.
  func fault(_ n: Int) -> PlannedFault {
    PlannedFault(
      storageFault, FaultTrigger(kind.map { [$0] } ?? Set(EngineCallSite.kinds), .occurrence(n), moment), duration)
  }

  private var storageFault: StorageFault {
    switch error {
    case .eio: kind == .sync || kind == .syncDirectory ? .syncFailure(.marksClean) : .ioError
    case .eioPartly: .tornWrite(TornWrite(kept: .prefixTo(.sector), answer: .error))
    case .eioAfterwards: .ioError
    case .enospc: .noSpace
    case .edquot: .quotaExceeded
    case .short: .shortWrite(taking: nil)
    case .eintr: .interrupted
    case .eagain: .tryAgain
    case .stall: .stall(lasting == .once ? .seconds(1) : nil)
    }
  }

  private var moment: FaultTrigger.Moment { error == .eioAfterwards ? .completion : .submission }

  private var duration: FaultLasting {
    switch lasting {
    case .once: .once
    case .sticky: .sticky
    case .untilSpaceFreed: .untilSpaceFreed
    }
  }

  /// Whether the life that it hits may wait for ever.
  var neverEnds: Bool { error == .stall && lasting == .sticky }
}
