import RecordLogs

/// Bugs of a replay buffer's transactions: seed document 003. Those of its log stand in CommitDefects.swift.
extension Defect {
  static let replay: [Defect] = [
    Defect(
      ofTransactions: "R2", origin: "replay buffer",
      "The replay of a START without END is not recorded: it is replayed again.",
      showsWhen: "a crash between START and END, and two restarts"
    ) { $0.ends = OnlyEndsOfWhatHadEnded() },
    Defect(
      ofTransactions: "R2b", origin: "replay buffer", "A START without END is dropped.",
      showsWhen: "a crash between START and END"
    ) { $0.selection = OnlyWhatHasEnded() },
    Defect(
      ofTransactions: "R3", origin: "replay buffer", "Old files are deleted before recovery has succeeded.",
      showsWhen: "a crash during recovery, and the retention after it"
    ) { $0.cleanUp = CleanUpAtAnyTime() },
    Defect(
      ofTransactions: "R4", origin: "replay buffer", "ROLLBACK is honoured in memory only.",
      showsWhen: "a crash after ROLLBACK"
    ) { $0.ends = OnlyCommits() },
  ]
}

/// R2, the first half.
struct OnlyEndsOfWhatHadEnded: EndRecording {
  func isWritten(_ end: ReplayCodec.Operation, replayedFrom stage: ReplayTransaction.Stage?) -> Bool {
    stage != .filling
  }
}

/// R2, the second half.
struct OnlyWhatHasEnded: UnfinishedSelection {
  func isReplayed(_ transaction: ReplayTransaction) -> Bool { transaction.stage != .filling }
}

/// R3.
struct CleanUpAtAnyTime: CleanUpTiming {
  var waitsForRecovery: Bool { false }
}

/// R4.
struct OnlyCommits: EndRecording {
  func isWritten(_ end: ReplayCodec.Operation, replayedFrom stage: ReplayTransaction.Stage?) -> Bool {
    end != .rollback
  }
}
