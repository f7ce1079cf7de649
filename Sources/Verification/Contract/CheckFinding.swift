import LogModel

/// What a check of a partition has found, as facts. Its text is one sentence: what must be, and what was found. Every
/// number in it comes from here, so that no text can name a bound that was kept.
enum CheckFinding: Hashable, Sendable {
  // Watermarks and ends.
  /// Everything before `protected` is promised.
  case watermarkBelowPromise(found: Int64, protected: Int64)
  /// Consumption ended somewhere in `low...high`.
  case watermarkBesideConsumption(found: Int64, low: Int64, high: Int64)
  case watermarkBesideLogEnd(found: Int64, logEnd: Int64)
  /// Everything before `protected` is promised; what is served ends somewhere in `low...high`.
  case logEndBesideMessages(found: Int64, low: Int64, high: Int64, protected: Int64)
  case watermarkFellInReadback(from: Int64, to: Int64)
  case watermarkFell(from: Int64, to: Int64)
  /// Over a restart it may fall as far as nothing protected goes with it.
  case watermarkFellBelowPromise(was: Int64, restart: Int, protected: Int64, found: Int64)

  // Fetches from start offsets, and consumption.
  case fetchBegan(asked: Int64, at: Int64)
  case fetchWasEmpty(asked: Int64)
  case stuck(at: Int64, watermark: Int64?, answers: Int)
  case fetchFailed(at: Int64, String)

  // Served messages.
  case servedTooMany(served: Int, attempted: Int)
  case corrupt(offset: Int64)
  case failedIsThere(offset: Int64, message: Int64)
  case goneIsBack(offset: Int64, message: Int64, restart: Int)
  case neverSent(offset: Int64, message: Int64)
  case duplicate(message: Int64, first: Int64, again: Int64)
  case moved(message: Int64, from: Int64, to: Int64)
  case replaced(offset: Int64, message: Int64)
  case reordered(offset: Int64, message: Int64)
  case gap(at: Int64, next: Int64)

  /// Where a log begins; keys and times.
  case reader(ReaderFinding)
  /// What a consumer was answered while messages were sent.
  case beside(ReadingFinding)
  /// Answers to fetches, offsets of acknowledgements, what an earlier restart has answered.
  case readback(ReadbackFinding)

  // Requests.
  case missing(message: Int, offset: Int64, isAcknowledged: Bool)
  case batchIsSplit(messages: Int, served: Int)
  case missingBeforeWindow(offset: Int64, window: Duration)
  case missingThoughClosed(offset: Int64)
  case lossIsNoSuffix(lost: Int64, survivor: Int64)
  case lostMoreThanExplained(lost: Int, most: Int, first: Int64)
  case lostLessThanDestroyed(lost: Int, least: Int)
  case appendsRefused(restart: Int, count: Int)
  case appendTooLow(restart: Int, found: Int64, atLeast: Int64)
  case appendMissing(restart: Int, offset: Int64)

  // Reports of damage.
  case unreported(offset: Int64)
  /// The report that is there names another place than the one where the fault destroyed it.
  case reportedElsewhere(offset: Int64, place: DamagedPlace, found: String)
  case nothingReported
  case noReportOwed(offset: Int64)
  case untouchedReported(offset: Int64)
  case reportOfNothing(from: Int64, to: Int64)

  // What the engine keeps beside messages.
  case notRegistered(TopicPartition)
  case refusedWithoutFault(TopicPartition)
  case registeredThoughRefused(TopicPartition)
  case registeredByNobody(TopicPartition)
  /// `allowed`: what was committed since the last acknowledged one, that one first; empty where none was acknowledged.
  case committedOffset(group: String, allowed: [Int64], found: Int64?)

  // Why there is no verdict.
  case readbackUnfinished
  case watermarksUnknown
}

extension CheckFinding: CustomStringConvertible {
  var description: String { ofOffsets ?? ofServed ?? ofRequests ?? ofTheRest }

  /// The bound that was broken, and no other. The lower one counts where both are.
  private static func bounds(_ found: Int64, _ low: Int64, _ lowReason: String, _ high: Int64, _ highReason: String)
    -> String
  {
    assert(found < low || found > high)
    return found < low
      ? "must be at least \(low)\(lowReason), found \(found)" : "must be at most \(high)\(highReason), found \(found)"
  }

  private var ofOffsets: String? {
    switch self {
    case .watermarkBelowPromise(let found, let protected):
      "the high watermark must be at least \(protected), where the protected messages end, found \(found)"
    case .watermarkBesideConsumption(let found, let low, let high):
      "the high watermark " + Self.bounds(found, low, ", where consumption ends", high, ", where consumption ends")
    case .watermarkBesideLogEnd(let found, let logEnd):
      "the high watermark must equal the log end offset \(logEnd), found \(found)"
    case .logEndBesideMessages(let found, let low, let high, let protected):
      "the log end offset "
        + Self.bounds(
          found, max(low, protected),
          protected > low ? ", where the protected messages end" : ", where consumption ends", high,
          ", where consumption ends")
    case .watermarkFellInReadback(let from, let to): "the high watermark fell from \(from) to \(to) during one readback"
    case .watermarkFell(let from, let to): "the high watermark must not fall, found \(from) before and \(to) now"
    case .watermarkFellBelowPromise(let was, let restart, let protected, let found):
      "the high watermark was \(was) \(Self.moment(restart)); it must be at least \(protected) now, where the "
        + "protected messages end, "
        + "found \(found)"
    case .fetchBegan(let asked, let at): "a fetch at \(asked) must begin there, found offset \(at)"
    case .fetchWasEmpty(let asked): "a fetch at \(asked) must begin there, found an empty answer"
    case .stuck(let at, let watermark, let answers):
      "consumption must reach the high watermark\(watermark.map { " \($0)" } ?? ""), found no progress at offset \(at) "
        + "in "
        + "\(answers) answers"
    case .fetchFailed(let at, let text): "consumption must go on at offset \(at), found an error: \(text)"
    default: nil
    }
  }

  private var ofServed: String? {
    switch self {
    case .servedTooMany(let served, let attempted):
      "at most the \(attempted) messages attempted can be served, found \(served)"
    case .corrupt(let offset): "offset \(offset) is served with bytes that were never sent"
    case .failedIsThere(let offset, let message):
      "offset \(offset) holds message \(message), whose sending had failed for certain"
    case .goneIsBack(let offset, let message, let restart):
      "offset \(offset) holds message \(message), which was gone \(Self.moment(restart))"
    case .neverSent(let offset, let message): "offset \(offset) holds message \(message), which was never sent"
    case .duplicate(let message, let first, let again):
      "message \(message) stands at offset \(first) and again at \(again)"
    case .moved(let message, let from, let to): "message \(message) must stand at offset \(from), found at \(to)"
    case .replaced(let offset, let message): "offset \(offset) was served before with another message than \(message)"
    case .reordered(let offset, let message):
      "message \(message) at offset \(offset) stands behind a later one of its producer"
    case .reader(let finding): "\(finding)"
    case .readback(let finding): "\(finding)"
    case .beside(let finding): "\(finding)"
    case .gap(let at, let next): "offset \(at) must be served, found a gap up to offset \(next)"
    default: nil
    }
  }

  private var ofRequests: String? {
    switch self {
    case .missing(let message, let offset, let isAcknowledged):
      "message \(message) was \(isAcknowledged ? "acknowledged" : "served before") at offset \(offset) and must be "
        + "served, found nothing"
    case .batchIsSplit(let messages, let served):
      "the \(messages) messages sent as one batch must be there together, found \(served)"
    case .missingBeforeWindow(let offset, let window):
      "only what was acknowledged in the last \(DurationText.render(window)) before the power loss may be missing, "
        + "found offset \(offset) missing too"
    case .missingThoughClosed(let offset):
      "the engine had closed without an error before the power loss, and every acknowledged message must be there, "
        + "found offset "
        + "\(offset) missing"
    case .lossIsNoSuffix(let lost, let survivor):
      "offset \(lost) is lost, so everything behind it must be lost too, found offset \(survivor) served"
    case .lostMoreThanExplained(let lost, let most, let first):
      "faults and sync policy explain the loss of at most \(most) acknowledged messages, found \(lost) lost; the first "
        + "that they do "
        + "not explain is offset \(first)"
    case .lostLessThanDestroyed(let lost, let least):
      "the faults' receipts say that at least \(least) messages are gone, found \(lost): a receipt is wrong"
    case .appendsRefused(let restart, let count):
      "an append \(Self.moment(restart)) must be accepted, found \(count == 1 ? "it" : "all \(count)") refused"
    case .appendTooLow(let restart, let found, let atLeast):
      "an append \(Self.moment(restart)) must stand at offset \(atLeast) or later, found it acknowledged at \(found)"
    case .appendMissing(let restart, let offset):
      "offset \(offset), appended \(Self.moment(restart)), must be served, found nothing"
    default: nil
    }
  }

  private var ofTheRest: String {
    switch self {
    case .unreported(let offset): "offset \(offset) was destroyed by a fault and must be reported, found no report"
    case .reportedElsewhere(let offset, let place, let found):
      "offset \(offset) was destroyed in \(place), and its report must name that place, found: \(found)"
    case .nothingReported: "a fault destroyed messages, found no report of any"
    case .noReportOwed(let offset):
      "offset \(offset) was destroyed by a fault and not reported; no report is owed, for nothing on the medium shows "
        + "that it had "
        + "been acknowledged"
    case .untouchedReported(let offset): "no fault touched offset \(offset), found it reported as damaged"
    case .reportOfNothing(let from, let to):
      "no fault touched offsets \(from) to \(to - 1), found them reported as damaged"
    case .notRegistered(let partition): "\(partition) was created and must be registered, found it missing"
    case .refusedWithoutFault(let partition):
      "\(partition) was asked for, no fault stood in the way, and it must be registered, found it refused"
    case .registeredThoughRefused(let partition): "\(partition) was refused, found it registered"
    case .registeredByNobody(let partition): "\(partition) was never created, found it registered"
    case .committedOffset(let group, let allowed, let found):
      "the committed offset of \(group) must be \(Self.choice(allowed)), found \(found.map { "\($0)" } ?? "none")"
    case .readbackUnfinished: "the readback did not come to its end"
    case .watermarksUnknown: "its watermarks were not asked for"
    default: ""
    }
  }

  private static func moment(_ restart: Int) -> String {
    restart == 0 ? "before any crash" : "after restart \(restart)"
  }

  /// `500`, `500 or 600`, `one that was committed, or none`
  private static func choice(_ allowed: [Int64]) -> String {
    guard let first = allowed.first else { return "one that was committed, or none" }
    return allowed.count == 1 ? "\(first)" : "\(first), or one committed after it"
  }
}
