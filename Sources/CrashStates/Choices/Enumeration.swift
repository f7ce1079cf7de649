import LogModel

/// Visits the states of one crash point: all that differ in at most k pieces from *everything kept* or from *nothing
/// kept*; those that a real cut is likely to leave (`Bases`); then a sample by seed around all of these.
package struct StateEnumeration {
  /// How far the exhaustive part may go.
  package struct Limits: Hashable, Sendable {
    /// The largest k.
    var bound = 3
    /// States of one crash point that the exhaustive part may visit; k is lowered there until it fits, and said so.
    var statesPerPoint = 4096
    /// States of each crash point that are drawn by the seed, where the exhaustive part has not visited all there are.
    var samples = 64

    package init(bound: Int = 3, statesPerPoint: Int = 4096, samples: Int = 64) {
      self.bound = bound
      self.statesPerPoint = statesPerPoint
      self.samples = samples
    }
  }

  let point: CrashPoint
  /// Exhaustive for this many pieces; `Int.max` where every state has been visited.
  package private(set) var bound: Int
  private let isComplete: Bool
  private let limits: Limits

  package init(_ point: CrashPoint, _ limits: Limits) {
    self.point = point
    self.limits = limits
    var product = 1
    for piece in point.pieces { product = min(product * piece.count, limits.statesPerPoint + 1) }
    isComplete = product <= limits.statesPerPoint
    // Of what was left out nothing is claimed.
    bound = point.omitsStates ? limits.bound : Int.max
    if !isComplete {
      bound = 0
      while bound < limits.bound, Self.count(point.pieces, bound + 1) * 2 <= limits.statesPerPoint { bound += 1 }
    }
  }

  /// States that differ from one choice in at most k pieces.
  private static func count(_ pieces: [CrashPoint.Piece], _ k: Int) -> Int {
    // ways[j]: states that differ in exactly j of the pieces so far.
    var ways = [Double](repeating: 0, count: k + 1)
    ways[0] = 1
    for piece in pieces {
      for j in stride(from: k, to: 0, by: -1) { ways[j] += ways[j - 1] * Double(piece.count - 1) }
    }
    return Int(min(ways.reduce(0, +), 1e15))
  }

  /// Calls `visit` with each choice that the profile permits, some more than once.
  package func forEach(seed: UInt64, _ visit: (_ choice: [Alternative], _ isSample: Bool) -> Void) {
    func visitPermitted(_ choice: [Alternative], _ isSample: Bool) {
      if point.permits(choice) { visit(choice, isSample) }
    }
    if isComplete {
      var choice = point.nothing
      visitAll(&choice, 0) { visitPermitted($0, false) }
      return
    }
    for base in [point.everything, point.nothing] {
      var choice = base
      visitNear(&choice, from: 0, left: bound) { visitPermitted($0, false) }
    }
    let bases = Bases(point, most: max(16, limits.statesPerPoint / 4))
    for base in bases.choices { visitPermitted(base, false) }
    var random = SeededGenerator(seed: mix64(seed &+ UInt64(point.event)), stream: "states")
    for _ in 0..<limits.samples { visitPermitted(sample(around: bases.choices, &random), true) }
  }

  /// A state that differs from a base in a share of its pieces, between hardly any and nearly all. What differs is as
  /// often lost as it is anything else.
  private func sample(around bases: [[Alternative]], _ random: inout SeededGenerator) -> [Alternative] {
    let kind = Int.random(in: 0...3, using: &random)
    var choice =
      switch kind {
      case 0: point.everything
      case 1: point.nothing
      default: bases.randomElement(using: &random) ?? point.everything
      }
    // Of the pieces a few, or a share.
    let share =
      Bool.random(using: &random)
      ? Double.random(in: 0...1, using: &random) : Double(Int.random(in: 1...8, using: &random)) / Double(choice.count)
    for index in choice.indices where Double.random(in: 0..<1, using: &random) < share {
      let before = choice[index]
      choice[index] =
        Bool.random(using: &random)
        ? (Bool.random(using: &random) ? 0 : Alternative(point.pieces[index].newest))
        : Alternative(Int.random(in: 0..<point.pieces[index].count, using: &random))
      // Drawn without regard to the others, nearly every sample would have too many.
      if !point.permits(choice) { choice[index] = before }
    }
    return choice
  }

  /// Some of the choices that `forEach` visits, by their places in that order.
  /// - Parameter places: sorted.
  package func choices(at places: [Int], seed: UInt64) -> [[Alternative]] {
    var found: [[Alternative]] = []
    var place = 0
    forEach(seed: seed) { choice, _ in
      if found.count < places.count, places[found.count] == place { found.append(choice) }
      place += 1
    }
    return found
  }

  /// The first choice that is visited and leads to this content; nil where none does.
  package func choice(of hash: UInt64, seed: UInt64) -> [Alternative]? {
    var found: [Alternative]?
    var resolver = StateResolver(point)
    forEach(seed: seed) { choice, _ in
      if found == nil, resolver.contentHash(choice) == hash { found = choice }
    }
    return found
  }

  private func visitAll(_ choice: inout [Alternative], _ index: Int, _ visit: ([Alternative]) -> Void) {
    guard index < choice.count else { return visit(choice) }
    for alternative in 0..<point.pieces[index].count {
      choice[index] = Alternative(alternative)
      visitAll(&choice, index + 1, visit)
    }
  }

  private func visitNear(_ choice: inout [Alternative], from start: Int, left: Int, _ visit: ([Alternative]) -> Void) {
    visit(choice)
    guard left > 0, start < choice.count else { return }
    for index in start..<choice.count {
      let own = choice[index]
      for alternative in 0..<point.pieces[index].count where Alternative(alternative) != own {
        choice[index] = Alternative(alternative)
        visitNear(&choice, from: index + 1, left: left - 1, visit)
      }
      choice[index] = own
    }
  }
}
