import LogModel

// The axes `keys`, `deletion` and `readers`, and a `message-size` below 24 bytes.
//
// A message of 24 bytes or more says which it is; one that is shorter does not, and the oracle tells it by its offset and its
// bytes. What a fault destroys is found by messages that say which they are, and what two writers send at once stands at offsets
// that nobody may be told of: so a trial of shorter messages has no faults, and one writer.
//
// Keys are compared byte for byte by whoever reads. `empty` is a key of no bytes, and another thing than none.
//
// `deletion: half` deletes the older half of each partition when half of the workload has been answered, again when all of it
// has, and after what is appended between the restarts; `all` deletes everything that is there at these moments.
//
// `readers: 2`: so many consumers read each partition while messages are sent: at its tail, ranges of it, and again from its
// beginning. Whatever they are answered is written down at once, and judged: see note 7 of Verification/Contract.swift. They know
// messages that say which they are, and one writer; they are of trials in any system's format and of explorations.
//
// `writers: holder-lives` runs in virtual time only, for on files the machine decides whether a lease is renewed in time; without a
// storage of its own such a cell is left out on files.
//
// The first three are of an engine with partitions and its own log: not of `delivery`, a `client`, an `exploration` or another `system`.
extension SourceReader {
  mutating func noteMessageContradictions(of scenario: Scenario, _ given: [Axis: SourcePosition]) {
    var noted: Set<Axis> = []
    for cell in scenario.cells() {
      for axis in [Axis.messageSize, .keys, .deletion, .readers, .writers] where !noted.contains(axis) {
        guard let problem = cell.messageProblem(axis) else { continue }
        let dimension = scenario.dimensions.first { $0.axis == axis }
        let value = cell.value(of: axis)
        let place = dimension.flatMap { found in found.values.firstIndex(of: value).map { found.valuePositions[$0] } } ?? given[axis]
        guard let place else { continue }
        noted.insert(axis)
        note(place, .malformed("\(value)", of: axis.rawValue, expected: problem))
      }
    }
  }
}

extension Cell {
  /// What must be otherwise for a value of an axis of messages to mean something; nil where it does.
  fileprivate func messageProblem(_ axis: Axis) -> String? {
    let isOfEngine = delivery == nil && client == nil && exploration == nil && system == .tornlog
    switch axis {
    case .messageSize where messageSize < MessageContent.minimumSize:
      if !isOfEngine { return "24 or more with delivery, client, exploration or another system than tornlog" }
      if !faults.isEmpty { return "24 or more with faults, which find messages by what they say of themselves" }
      return writers == .one || writers == .holderLives ? nil : "24 or more with writers=\(writers.rawValue)"
    case .keys where keys != .none:
      return isOfEngine ? nil : "none with delivery, client, exploration or another system than tornlog"
    case .deletion where deletion != .none:
      return isOfEngine ? nil : "none with delivery, client, exploration or another system than tornlog"
    case .readers where readers > 0:
      if delivery != nil || client != nil || exploration?.client != nil { return "0 with delivery or client" }
      if messageSize < MessageContent.minimumSize { return "0 with messages below 24 bytes, which do not say which they are" }
      return writers == .one ? nil : "0 with writers=\(writers.rawValue)"
    case .writers where writers == .holderLives:
      if !faults.isEmpty || system != .tornlog { return "another one with faults, or another system than tornlog" }
      return storage == nil || storage == .memory ? nil : "another one on storage=\(storage?.rawValue ?? "")"
    default: return nil
    }
  }
}
