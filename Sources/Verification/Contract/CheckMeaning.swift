extension CheckName {
  /// What must be so, as a clause in Markdown: for `docs/concepts.md` and `tornlog explain`.
  public var meaning: String {
    switch self {
    case .noAcknowledgedLoss: "a fetch returns every acknowledged message that the contract protects"
    case .lossIsSuffix: "what the contract allows to be lost is a suffix of the partition"
    case .lossWindow: "under `interval(d)` nothing is lost that was acknowledged more than d before the crash"
    case .noGaps: "the offsets between log start offset and high watermark are consecutive as consumed"
    case .noDuplicates: "no message is served at two offsets"
    case .noReordering: "one producer's messages come in the order in which it sent them"
    case .noPhantoms: "nothing is served that was never sent, or whose sending certainly failed"
    case .contentIntact: "every byte served is the byte that was sent"
    case .offsetsStable: "an acknowledged message stands at the offset of its acknowledgement"
    case .offsetsNameOneMessage:
      "an offset that a reader was given never names another message, where the contract protects that one"
    case .highWatermark: "the high watermark is the log end offset, and not below what the contract protects"
    case .watermarkMonotonic:
      "the high watermark does not go back in one life, nor below protected data over a restart"
    case .logEndOffset: "the log end offset counts whole messages that can be fetched"
    case .everyStartOffset: "a fetch from every offset of the log begins with exactly that offset"
    case .consumerMakesProgress: "consumption from the log start offset reaches the high watermark"
    case .partitionsRegistered: "topics and partitions that were created and acknowledged are there"
    case .consumerOffsets:
      "committed offsets are there, not behind their last value, or behind the end of a log that came back "
        + "shorter"
    case .committedOffsetWithinLog:
      "a committed offset lies within the log, and not behind a message that was sent after it was "
        + "committed"
    case .recoveredWithinAttempted: "not more messages are recovered than were attempted"
    case .damageReported: "damage that a fault did is reported, with its offsets, and nothing else is"
    case .recoveryCompletes: "the engine opens after the crash"
    case .boundedMemory:
      "recovery takes no more memory than its buffers and its index, whatever the size of the log. It is "
        + "compared where the log is larger than what recovery is configured with"
    case .noHang: "no phase exceeds its time-out"
    case .noUnjustifiedRejection: "a request that no crash and no fault cut off is answered with success"
    case .appendAfterRecovery: "an append after recovery is accepted, and survives like any other"
    case .deliveredAtStop: "a sender that is stopped in order has sent what was pending, where the receiver took it"
    case .archiveKept: "an archived job's log is in its archive with every acknowledged event"
    case .cleanShutdown: "an engine that no fault hinders closes without an error"
    case .checkpointCompletes: "what is acknowledged gets to an object store that no fault hinders"
    case .noEngineCrash: "the engine's process ends only when the trial ends it"
    case .lossWithinExpected:
      "a partition has lost no more than receipts and policy explain. It is `unknown` where it has lost "
        + "less than what is certainly gone: then a receipt is wrong"
    case .keysIntact: "a message is served with the key that it was sent with: absent, empty, or byte for byte"
    case .timesKept:
      "a batch is served with the time of its append, between its submission and its acknowledgement, and the same "
        + "after every restart"
    case .logStartOffset:
      "a log begins where deletions have put it: not later, unless damage explains that, and never earlier "
        + "than before"
    case .deletedStaysDeleted: "what was deleted, and acknowledged as deleted, is never served again"
    case .leaseKept:
      "an engine that is well and renews its lease keeps it: nobody else takes it, and its requests are not refused"
    case .rejectedReported:
      "what a receiver rejects for good is recorded as failed, what it has accepted as sent, and nothing "
        + "else"
    case .metadataBounded:
      "no copy of the metadata log takes more on the disk than four times what it takes to say the same "
        + "anew, and 4 MiB"
    }
  }
}
