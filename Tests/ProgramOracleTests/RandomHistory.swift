import LogModel
import ProgramOracle

/// A history that a program can have had, with requests that overlap, fail and get no answer, and with crashes.
struct RandomHistory {
  var requests: [ProgramRequest] = []
  var crashes: [(place: Int, time: Int64)] = []
  /// What was read after the first crash; nil where nobody looked.
  var read: Reference.State?
  var cut = 0

  /// Ten nanoseconds for each place.
  static func time(_ place: Int) -> Int64 { Int64(place) * 10 }

  private struct Open {
    var index: Int
    var hasHappened = false
    var taken: String?
    /// 0 happens and is acknowledged, 1 is refused, 2 gets no answer or one that says nothing.
    var fate: Int
  }

  private let contract: ProgramContract
  private var random: SeededGenerator
  private var state = Reference.State()
  private var open: [Open] = []
  private var place = 0

  init(_ contract: ProgramContract, seed: UInt64) {
    (self.contract, random) = (contract, SeededGenerator(seed: seed))
    let count = Int.random(in: 1...6, using: &random)
    let most = Int.random(in: 1...3, using: &random)
    let crashAfter = random.chance(1, in: 3) ? Int.random(in: 1...count, using: &random) : .max
    var sent = 0
    while sent < count || !open.isEmpty {
      place += 1
      if sent < count, open.count < most, open.isEmpty || random.chance(1, in: 2) {
        send(sent)
        sent += 1
      } else {
        goOn()
      }
      if sent == crashAfter, crashes.isEmpty, random.chance(1, in: 2) { crash() }
    }
    cut = random.chance(1, in: 2) ? place + 1 : Int.random(in: 0...place + 1, using: &random)
  }

  private mutating func send(_ number: Int) {
    let call = call(number)
    let fate = [0, 0, 0, 0, 0, 1, 2, 2].randomElement(using: &random)!
    open.append(Open(index: requests.count, fate: fate))
    requests.append(
      ProgramRequest(
        call, submitted: place, answered: nil, outcome: .unknown))
  }

  private mutating func call(_ number: Int) -> ProgramCall {
    if contract.promise != .acknowledged, random.chance(1, in: 6) { return .flush }
    switch contract.model {
    case .log: return .append(log: "a", value: "v\(number)")
    case .queue: return random.chance(3, in: 5) ? .append(log: "a", value: "v\(number)") : .take(log: "a")
    case .map, .transactions:
      let keys = ["x", "y", "z"]
      let most = contract.model == .map ? 1 : 3
      return .write(
        (0..<Int.random(in: 1...most, using: &random)).map { part in
          // Now and then a value that another write has too, and a deletion.
          let value = ["v\(number)-\(part)", "v\(number)-\(part)", "same", nil].randomElement(using: &random)!
          return MapWrite(keys.randomElement(using: &random)!, value)
        })
    }
  }

  /// Something happens to a request that is open.
  private mutating func goOn() {
    guard !open.isEmpty else { return }
    let at = Int.random(in: 0..<open.count, using: &random)
    if !open[at].hasHappened, open[at].fate == 0 || open[at].fate == 2 && random.chance(1, in: 2) {
      let (after, taken) = Self.apply(requests[open[at].index].call, state)
      (state, open[at].taken, open[at].hasHappened) = (after, taken, true)
      return
    }
    let one = open.remove(at: at)
    switch one.fate {
    case 0: answer(one.index, .acknowledged(taken: one.taken))
    case 1: answer(one.index, .failed)
    default: if random.chance(1, in: 2) { answer(one.index, .unknown) }
    }
  }

  private mutating func answer(_ index: Int, _ outcome: ProgramOutcome) {
    (requests[index].answered, requests[index].answeredTime) = (place, Self.time(place))
    requests[index].outcome = outcome
  }

  private static func apply(_ call: ProgramCall, _ state: Reference.State) -> (Reference.State, String?) {
    var after = state
    switch call {
    case .flush: break
    case .append(let log, let value): after.logs[log, default: []].append(value)
    case .take(let log):
      guard let first = after.logs[log]?.first else { return (after, nil) }
      after.logs[log]!.removeFirst()
      return (after, first)
    case .write(let writes): for write in writes { after.map[write.key] = write.value }
    }
    return (after, nil)
  }

  /// The program goes on from any state that the crash may leave.
  private mutating func crash() {
    place += 1
    open = []
    crashes = [(place, Self.time(place))]
    let legal = Reference(requests, crashes: [], cut: place, time: Self.time(place), contract).legal()
    state = legal.sorted { "\($0)" < "\($1)" }.randomElement(using: &random)!
    if random.chance(1, in: 2) { read = state }
    place += 1
  }

  var reference: Reference {
    Reference(requests, crashes: crashes, cut: cut, time: Self.time(cut), contract)
  }

  /// As the oracle is told it.
  func told(withReading: Bool) -> CutHistory {
    var history = ProgramHistory()
    var crashes = crashes[...]
    for request in requests {
      if let crash = crashes.first, crash.place <= request.submitted {
        note(crash, &history, withReading)
        crashes.removeFirst()
      }
      history.add(request)
    }
    for crash in crashes { note(crash, &history, withReading) }
    return history.cut(at: cut, time: Self.time(cut))
  }

  private func note(_ crash: (place: Int, time: Int64), _ history: inout ProgramHistory, _ withReading: Bool) {
    history.crash(at: crash.place, time: crash.time)
    if withReading, let read { history.settle(read.readback, at: crash.place, inOrder: contract.losesInOrder) }
  }

  var text: String {
    requests.map { "\($0.submitted)-\($0.answered.map(String.init) ?? "") \($0.call) \($0.outcome)" }
      .joined(separator: "\n") + "\ncrashes \(crashes.map(\.place)), cut \(cut), read \(read.map { "\($0)" } ?? "-")"
  }
}

extension Reference.State {
  /// The same with one thing wrong, or something else.
  func damaged(_ model: ProgramModel, _ random: inout SeededGenerator) -> Reference.State {
    var state = self
    let dice = Int.random(in: 0..<5, using: &random)
    if model == .log || model == .queue {
      var items = state.logs["a"] ?? []
      let at = Int.random(in: 0..<max(1, items.count), using: &random)
      let other = "v\(Int.random(in: 0..<7, using: &random))"
      switch items.isEmpty ? 5 : dice {
      case 0: items.remove(at: at)
      case 1: items.swapAt(at, Int.random(in: 0..<items.count, using: &random))
      case 2: items.insert(items[at], at: Int.random(in: 0...items.count, using: &random))
      case 3: items[at] = other
      default: items.insert(other, at: at)
      }
      state.logs["a"] = items
      return state.tidy
    }
    let keys = ["x", "y", "z"]
    let key = keys.randomElement(using: &random)!
    switch dice {
    case 0: state.map[key] = nil
    case 1: state.map[key] = "same"
    case 2: state.map[key] = state.map[keys.randomElement(using: &random)!]
    default:
      state.map[key] = "v\(Int.random(in: 0..<7, using: &random))-\(Int.random(in: 0..<3, using: &random))"
    }
    return state
  }
}
