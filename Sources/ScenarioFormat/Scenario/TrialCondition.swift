import LogModel

/// What must have happened in a trial for it to have a verdict: without it, it is `unknown`, and never a pass. The key
/// `only-if` of a scenario lists them; each of its cells runs in the model, where all of it can be seen.
public enum TrialCondition: String, Hashable, Sendable, Codable, CaseIterable {
  /// The first crash found a write to a log in flight, and left a part of its sectors.
  case tornWrite = "torn-write"
  /// Something that had been acknowledged is gone in the last readback.
  case acknowledgedLost = "acknowledged-lost"
  /// Something whose sender was told that nobody knows is there in the last readback.
  case indeterminateFound = "indeterminate-found"
  /// In a partition something was sent and acknowledged once something else of it had failed.
  case acknowledgedAfterError = "acknowledged-after-error"
  /// In a partition messages of one producer stand before and after one of another.
  case producersInterleaved = "producers-interleaved"
  /// To a partition nothing was ever sent, and it has no file.
  case partitionNeverWritten = "partition-never-written"
  /// Something was sent to a partition, and there is no message in its files.
  case partitionEmpty = "partition-empty"
  /// A partition has two files at the least, and each has one request.
  case oneRequestAFile = "one-request-a-file"
  /// The last request of a file ends where requests must end at the latest.
  case fileExactlyFull = "file-exactly-full"
  /// The file that is not the last of its partition would be exactly full with one request more, were each message a
  /// byte shorter.
  case fileOneByteOver = "file-one-byte-over"
  /// Under `interval(d)` a partition was written to for ten times d and longer before the first crash, and no two
  /// answers were further apart than d/4.
  case loadOutlastsWindow = "load-outlasts-window"
  /// Under `interval(d)` something was acknowledged in the last d/4 before an engine answered that it had closed in
  /// order, and then the power went.
  case closedBehindAnswers = "closed-behind-answers"
  /// The first life was cut off by another kind of crash than the second.
  case crashesDiffer = "crashes-differ"
  /// A request ends where a zero-fill ended, and another request of the same file stands behind it.
  case requestEndsWithZeros = "request-ends-with-zeros"
  /// Messages of a partition stand on both sides of offset 2^31, 2^32 or 2^53.
  case offsetsOutgrowIntegers = "offsets-outgrow-integers"
  /// Records were deleted, and whoever asked for that was told so.
  case recordsDeleted = "records-deleted"
  /// A message without bytes is there after the first restart.
  case emptyMessageFound = "empty-message-found"
  /// A writer held its lease for more than three terms, and another one that wanted it was refused.
  case leaseOutlived = "lease-outlived"
}

extension SourceReader {
  mutating func conditionsOfTrials(_ node: SourceNode) -> [TrialCondition] {
    var found: [TrialCondition] = []
    for item in list(node, "only-if") ?? [] {
      guard let text = word(item, "condition of a trial", TrialCondition.allCases.map(\.rawValue)),
        let condition = TrialCondition(rawValue: text)
      else { continue }
      if found.contains(condition) {
        note(item.position, .repeatedValue(text, of: "only-if"))
      } else {
        found.append(condition)
      }
    }
    return found
  }
}
