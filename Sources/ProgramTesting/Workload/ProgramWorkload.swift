import Drivers
import LogModel
import ProgramOracle

/// One thing that a caller does: a request, or an orderly restart.
package enum WorkloadStep: Sendable, Hashable {
  case request(DriverRequest)
  /// `close`, and `open` of the same folder.
  case reopen
}

/// What a caller asks of a program. It follows from the model, from what the driver can do, and from a seed.
package struct ProgramWorkload: Sendable {
  package var model: ProgramModel
  package var steps: [WorkloadStep]
  /// Names of the logs or queues.
  package var logs: [String]
  /// Keys of the map, those of requests after a recovery too.
  package var keys: [String]

  /// - Parameters:
  ///   - requests: from 1.
  ///   - can: what the driver offers, as the protocol names it.
  package init(_ model: ProgramModel, requests: Int, seed: UInt64, can: Set<String>) {
    self.model = model
    var random = SeededGenerator(seed: seed, stream: "workload")
    logs = model == .log || model == .queue ? (requests >= 20 ? ["a", "b"] : ["a"]) : []
    // Few keys, so that most are written more than once.
    keys = model == .map || model == .transactions ? (0..<max(2, min(24, requests / 6))).map { "k\($0)" } : []
    steps = []
    var made: [WorkloadStep] = []
    for number in 0..<requests {
      made.append(.request(request(number, can, &random)))
      if can.contains("flush"), Int.random(in: 0..<12, using: &random) == 0 { made.append(.request(.flush)) }
    }
    // An orderly restart in the middle: recovery is a part of the program.
    if requests >= 8 { made.insert(.reopen, at: made.count * 2 / 5) }
    steps = made
  }

  /// Nothing is asked for by it: names and keys say what is read back.
  init(_ model: ProgramModel, logs: [String], keys: [String]) {
    (self.model, self.logs, self.keys, steps) = (model, logs, keys, [])
  }

  private func request(_ number: Int, _ can: Set<String>, _ random: inout SeededGenerator) -> DriverRequest {
    let dice = Int.random(in: 0..<100, using: &random)
    switch model {
    case .log: return .append(log: logs.randomElement(using: &random)!, value: value(number, &random))
    case .queue:
      let log = logs.randomElement(using: &random)!
      return dice < 65 ? .append(log: log, value: value(number, &random)) : .take(log: log)
    case .map, .transactions:
      let isTransaction =
        can.contains("txn") && (model == .transactions ? dice < 70 || !can.contains("put") : dice < 20)
      if isTransaction {
        let chosen = keys.shuffled(using: &random).prefix(Int.random(in: 2...4, using: &random))
        return .transaction(
          chosen.enumerated().map { index, key in
            Int.random(in: 0..<6, using: &random) == 0
              ? .delete(key: key) : .put(key: key, value: value(number, part: index, &random))
          })
      }
      let key = keys.randomElement(using: &random)!
      if dice >= 88, can.contains("delete") { return .delete(key: key) }
      return .put(key: key, value: value(number, &random))
    }
  }

  /// A value that no other request has, of a size that shows where records cross sectors and pages.
  private func value(_ number: Int, part: Int? = nil, _ random: inout SeededGenerator) -> String {
    let size =
      switch Int.random(in: 0..<100, using: &random) {
      case ..<55: Int.random(in: 8..<100, using: &random)
      case ..<88: Int.random(in: 100..<700, using: &random)
      case ..<98: Int.random(in: 700..<3000, using: &random)
      default: Int.random(in: 3000..<9000, using: &random)
      }
    return Self.value("v\(number)" + (part.map { "-\($0)" } ?? ""), size)
  }

  /// A name, and letters that follow from it: a value cut short or mixed with another is none that was written.
  package static func value(_ name: String, _ size: Int) -> String {
    var bytes = Array((name + ":").utf8)
    var state = stableHash(name)
    while bytes.count < size {
      state = mix64(state &+ 0x9E37_79B9_7F4A_7C15)
      for shift in stride(from: 0, to: 60, by: 6) where bytes.count < size {
        bytes.append(UInt8(ascii: "a") + UInt8(state >> UInt64(shift) & 63) % 26)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What is written after a recovery, to see that it works.
  package func probe(_ number: Int) -> DriverRequest {
    let value = Self.value("probe\(number)", 40)
    switch model {
    case .log, .queue: return .append(log: logs[0], value: value)
    case .map: return .put(key: keys[0], value: value)
    case .transactions: return .transaction([.put(key: keys[0], value: value), .put(key: keys[1], value: value)])
    }
  }
}
