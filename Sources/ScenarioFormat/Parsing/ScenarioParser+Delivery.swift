import LogModel

// The key `delivery` of a scenario: a trial of the job log and its sender (airunner runbook) in place of one of
// partitions.
//
// | key | value | default |
// |---|---|---|
// | `events-for` | the events of the first life are appended evenly over this time | 0s: as fast as they go |
// | `first-back-off`, `longest-back-off` | between two attempts to send | 1s, 60s |
// | `timeout` | how long an answer is waited for | 10s |
// | `stop-within` | what the sender has in the last life to send all that is left | 10m |
// | `executions` | `one`; `each-life`: every life is another execution of each job | one |
// | `archive` | `true`: in the second life everything is sent, and the logs are archived, before the crash | false |
//
// A partition is a job then, a message an event, `batch` the most events that are sent at once, `append-between` what
// each job appends in the second life. Faults are those of the receiver (`receiver-...`) and `recover-disk-space` only,
// `writers` is one, and power is lost in the model only, under `sync: always`. The receiver is another machine: no
// crash is one of its own, unless it is told so.
extension SourceReader {
  mutating func delivery(_ node: SourceNode) -> DeliverySettings? {
    let known = ["events-for", "first-back-off", "longest-back-off", "timeout", "stop-within", "executions", "archive"]
    guard let keys = mapping(node, "delivery", known: known) else { return nil }
    let before = errors.count
    var settings = DeliverySettings()
    func set(
      _ key: String, _ path: WritableKeyPath<DeliverySettings, Duration>, isZeroFine: Bool = false, _ reader: inout Self
    ) {
      guard let entry = keys[key], let text = reader.text(entry.value, key) else { return }
      guard let duration = DurationText.parse(text), isZeroFine || duration > .zero else {
        return reader.note(entry.value.position, .malformed(text, of: key, expected: "a duration like 30s"))
      }
      settings[keyPath: path] = duration
    }
    set("events-for", \.eventsFor, isZeroFine: true, &self)
    set("first-back-off", \.firstBackOff, &self)
    set("longest-back-off", \.longestBackOff, &self)
    set("timeout", \.timeout, &self)
    set("stop-within", \.stopWithin, &self)
    if settings.longestBackOff < settings.firstBackOff, let entry = keys["longest-back-off"] ?? keys["first-back-off"] {
      note(
        entry.value.position,
        .malformed(entry.key, of: "back-off", expected: "the longest to be no shorter than the first"))
    }
    if let entry = keys["executions"], let word = word(entry.value, "executions", ["one", "each-life"]) {
      settings.isRetried = word == "each-life"
    }
    if let entry = keys["archive"], let word = word(entry.value, "archive", ["true", "false"]) {
      settings.archives = word == "true"
    }
    return errors.count == before ? settings : nil
  }

  /// Faults of a receiver where there is none, and other faults where there is one.
  mutating func noteFaultsOfDelivery(in scenario: Scenario) {
    let ofDelivery = Set(vocabulary.faults.filter(\.isOfDelivery).map(\.kind))
    let isMissing = scenario.delivery == nil
    for placed in scenario.allFaults where ofDelivery.contains(placed.fault.kind) == isMissing {
      let kind = placed.fault.kind
      note(
        placed.position,
        .contradiction(
          of: kind,
          FaultContradiction(
            kind,
            because: isMissing ? "nothing is sent in this trial" : "a trial of delivery has no faults of the disk",
            remedy: isMissing
              ? "say delivery, or choose another fault"
              : "choose receiver-... or recover-disk-space, or leave delivery away")))
    }
  }
}
