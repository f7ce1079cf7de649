import EventReceivers
import LogModel
import ScenarioFormat

/// From the words of a scenario to what a receiver of events does, and when.
package enum ReceiverFaultGrammar {
  private static let window = [
    FaultParameter("after", .duration, "this long after the beginning of the first life"),
    FaultParameter("for", .duration, "how long it lasts", isRequired: true),
  ]

  private static let statuses = [
    "202": "202 Accepted", "404": "404 Not Found", "500": "500 Internal Server Error", "503": "503 Service Unavailable",
  ]

  static let descriptors: [FaultDescriptor] = [
    lasting("receiver-refuses", "refuses connections"),
    lasting("receiver-stalls", "takes the batch and never answers"),
    lasting(
      "receiver-disconnects", former: "receiver-cuts", "takes the batch and cuts the connection in its answer"),
    lasting("receiver-crashes", "closes the connection without an answer, and has lost the batch"),
    lasting(
      "receiver-rate-limits", former: "receiver-asks-for-a-pause",
      "answers 429, with Retry-After where `retry-after` is given",
      [FaultParameter("retry-after", .duration, "what the answer asks for")]),
    lasting(
      "receiver-responds", former: "receiver-answers", "answers with `status`, and takes nothing",
      [FaultParameter("status", .word(statuses.keys.sorted()), "the answer's status", isRequired: true)]),
    FaultDescriptor(
      rejection, .receiver, "answers 422 to every batch that holds event number `event` of a job, for good",
      [
        FaultParameter(
          "event", .integer(1...1_000_000), "the event's number in its job; events count from 1 in the first life",
          isRequired: true)
      ], isOfDelivery: true),
  ]

  private static func lasting(
    _ kind: String, former: String? = nil, _ meaning: String, _ own: [FaultParameter] = []
  ) -> FaultDescriptor {
    FaultDescriptor(kind, former: former, .receiver, meaning, window + own, isOfDelivery: true)
  }

  package static let rejection = "receiver-rejects"

  /// - Throws: `TrialError.unknownFault` for words that no scenario can hold.
  static func schedule(_ spec: TrialSpec) throws(TrialError) -> ReceiverSchedule {
    var faults: [ReceiverSchedule.Fault] = []
    var rejected: Int64?
    for fault in spec.faults where fault.kind != DiskSpaceRecovery.kind {
      let words = FaultWords(fault)
      if fault.kind == rejection {
        guard let number = words.integer("event"), rejected == nil else { throw .unknownFault(fault.kind) }
        rejected = Int64(number)
        continue
      }
      guard let length = words.duration("for") else { throw .unknownFault(fault.kind) }
      let after = words.duration("after") ?? .zero
      faults.append(.init(kind: fault.kind, behavior: try behavior(fault.kind, words), window: after..<after + length))
    }
    return ReceiverSchedule(faults: faults, rejected: rejected)
  }

  private static func behavior(_ kind: String, _ words: FaultWords) throws(TrialError) -> ReceiverBehavior {
    switch kind {
    case "receiver-refuses": return .refuses
    case "receiver-stalls": return .stalls
    case "receiver-disconnects": return .cuts
    case "receiver-crashes": return .crashes
    case "receiver-rate-limits": return .asksForAPause(words.duration("retry-after"))
    case "receiver-responds":
      guard let status = words["status"].flatMap({ statuses[$0] }) else { throw .unknownFault(kind) }
      return .answers(status)
    default: throw .unknownFault(kind)
    }
  }
}

/// What a receiver does in the course of a trial.
struct ReceiverSchedule: Sendable {
  struct Fault: Sendable {
    var kind: String
    var behavior: ReceiverBehavior
    /// Since the beginning of the first life.
    var window: Range<Duration>
  }

  var faults: [Fault]
  /// The number of the event that it never takes, of each job; nil for none. Events are numbered from 1 in the first
  /// life.
  var rejected: Int64?

  func behavior(at moment: Duration) -> ReceiverBehavior {
    faults.first { $0.window.contains(moment) }?.behavior ?? rejected.map { .rejects($0) } ?? .accepts
  }

  /// From when on it is well for good.
  var end: Duration { faults.map(\.window.upperBound).max() ?? .zero }

  /// What became of each fault, by the attempts that the sender made.
  func receipts(_ attempts: [DeliveryAttempt]) -> [Receipt] {
    let refused = attempts.filter { $0.became == DeliveryAttempt.refused }
    let rejection = rejected.map { number in
      Receipt(
        kind: ReceiverFaultGrammar.rejection, fired: refused.count,
        places: refused.prefix(3).map {
          "\($0.begun.nanoseconds / 1_000_000) ms after the start, \($0.events) events, event \(number) among them: 422"
        })
    }
    return faults.map { fault in
      let met = attempts.filter { fault.window.contains($0.begun) && $0.became != DeliveryAttempt.accepted }
      return Receipt(
        kind: fault.kind, fired: met.count,
        places: met.prefix(3).map {
          "\($0.begun.nanoseconds / 1_000_000) ms after the start, \($0.events) events: \($0.became ?? "never ended")"
        })
    } + (rejection.map { [$0] } ?? [])
  }

  /// Why there is no verdict: faults that nobody met.
  func unfired(_ receipts: [Receipt]) -> String? {
    if let rejected, receipts.last?.fired == 0 {
      return "\(ReceiverFaultGrammar.rejection): event \(rejected) was never sent"
    }
    return zip(faults, receipts).first { $1.fired == 0 }.map { fault, _ in
      "\(fault.kind): no attempt to send was made \(DurationText.render(fault.window.lowerBound)) to "
        + "\(DurationText.render(fault.window.upperBound)) after the start"
    }
  }
}
