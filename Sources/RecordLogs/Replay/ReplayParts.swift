/// The parts of a replay buffer that history got wrong, as values: a buffer is made with them, and these are the sound
/// ones.
public struct ReplayParts: Sendable {
  /// Which of the transactions that an earlier process has left are replayed.
  public var selection: any UnfinishedSelection = EveryUnfinished()
  /// Which ends of transactions are written to the log.
  public var ends: any EndRecording = EveryEndWritten()
  /// When old files may go.
  public var cleanUp: any CleanUpTiming = CleanUpAfterRecovery()

  public init() {}
}

public protocol UnfinishedSelection: Sendable {
  func isReplayed(_ transaction: ReplayTransaction) -> Bool
}

/// A START without an END was answered, like all that was added to it (R2).
public struct EveryUnfinished: UnfinishedSelection {
  public init() {}
  public func isReplayed(_ transaction: ReplayTransaction) -> Bool { true }
}

public protocol EndRecording: Sendable {
  /// - Parameter stage: what the transaction was at when its replay began; nil where the process that began it ends it.
  func isWritten(_ end: ReplayCodec.Operation, replayedFrom stage: ReplayTransaction.Stage?) -> Bool
}

/// What is finished in memory only is there again after a crash (R2, R4).
public struct EveryEndWritten: EndRecording {
  public init() {}
  public func isWritten(_ end: ReplayCodec.Operation, replayedFrom stage: ReplayTransaction.Stage?) -> Bool { true }
}

public protocol CleanUpTiming: Sendable {
  var waitsForRecovery: Bool { get }
}

/// Until everything that an earlier process has left is replayed, any file may hold some of it (R3).
public struct CleanUpAfterRecovery: CleanUpTiming {
  public init() {}
  public var waitsForRecovery: Bool { true }
}
