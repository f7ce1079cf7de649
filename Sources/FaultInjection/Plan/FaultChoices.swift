import LogModel
import Storage

/// What faults leave to chance, drawn from the generator of the planned fault.
extension TornWrite.Kept {
  /// The parts that are kept, from the start of the write at `target`: ascending, joined, and not all of it.
  /// - Parameter meant: bytes of it, from its start, of which the seed's choice loses some: what follows is padding,
  ///   which is kept with the part before it.
  func parts(
    of target: Range<Int64>, meant: Int, triggerByte: Int?, _ random: inout SeededGenerator
  ) -> [Range<Int>] {
    let count = target.count
    let core = target.lowerBound..<target.lowerBound + Int64(meant)
    func prefix(_ n: Int) -> [Range<Int>] { n > 0 ? [0..<min(n, count - 1)].filter { !$0.isEmpty } : [] }
    switch self {
    case .prefix(let n): return prefix(n)
    case .suffix(let n): return n > 0 ? [count - min(n, count - 1)..<count].filter { !$0.isEmpty } : []
    case .upToTriggerByte: return prefix(triggerByte ?? 0)
    case .prefixTo(.byte): return prefix(Int.random(in: 0..<meant, using: &random))
    case .suffixFrom(.byte): return Self.suffix(of: count, from: Int.random(in: 1...count, using: &random))
    case .prefixTo(let unit): return prefix(unit.parts(of: core).randomElement(using: &random)?.lowerBound ?? 0)
    case .suffixFrom(let unit):
      return Self.suffix(of: count, from: unit.parts(of: target).randomElement(using: &random)?.upperBound ?? count)
    case .sectors(let numbers):
      return Self.join(TearUnit.sector.parts(of: target), lostWhenAllKept: nil) { numbers.contains($0) }
    case .anyOf(let unit):
      var parts = unit.parts(of: core)
      if let last = parts.popLast() { parts.append(last.lowerBound..<count) }
      let lost = Int.random(in: parts.indices, using: &random)
      var choice = SeededChoice(parts: parts.count, from: &random)
      return Self.join(parts, lostWhenAllKept: lost) { _ in choice.keepsNext() }
    }
  }

  private static func suffix(of count: Int, from start: Int) -> [Range<Int>] { start < count ? [start..<count] : [] }

  private static func join(
    _ parts: [Range<Int>], lostWhenAllKept: Int?, keeps: (Int) -> Bool
  ) -> [Range<Int>] {
    var kept = parts.indices.map(keeps)
    if !kept.contains(false) { kept[lostWhenAllKept ?? kept.count - 1] = false }
    var joined: [Range<Int>] = []
    for (part, isKept) in zip(parts, kept) where isKept {
      if let last = joined.last, last.upperBound == part.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<part.upperBound
      } else {
        joined.append(part)
      }
    }
    return joined
  }
}

extension TearUnit {
  /// The parts of a write at `target` that lie in one unit of the file each, from the write's start.
  func parts(of target: Range<Int64>) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    var at = target.lowerBound
    while at < target.upperBound {
      let end = min((at / Int64(rawValue) + 1) * Int64(rawValue), target.upperBound)
      parts.append(Int(at - target.lowerBound)..<Int(end - target.lowerBound))
      at = end
    }
    return parts
  }
}

extension ArmedFault {
  /// Turns over the bits of a `bitFlip`, each another one.
  /// - Parameter candidates: ranges of `bytes`, of which one is hit.
  /// - Returns: the bytes that were hit, ascending; none where there is no candidate.
  func flip(_ bytes: UnsafeMutableRawBufferPointer, in candidates: [Range<Int>]) -> (places: [Int], detail: String) {
    guard case .bitFlip(let count, _) = planned.fault, let first = candidates.first else { return ([], "") }
    let range = candidates.count == 1 ? first : candidates.randomElement(using: &random) ?? first
    let all = range.count * 8
    var bits: Set<Int> = []
    if count > all / 2 {
      bits = Set(Array(0..<all).shuffled(using: &random).prefix(max(count, 1)))
    } else {
      while bits.count < max(count, 1) { bits.insert(Int.random(in: 0..<all, using: &random)) }
    }
    for bit in bits { bytes[range.lowerBound + bit / 8] ^= 1 << UInt8(bit % 8) }
    let sorted = bits.sorted()
    let words = sorted.prefix(8).map { "bit \($0 % 8) of byte \(range.lowerBound + $0 / 8)" }
    let more = sorted.count > 8 ? " and \(sorted.count - 8) more" : ""
    return (Set(sorted.map { range.lowerBound + $0 / 8 }).sorted(), words.joined(separator: ", ") + more)
  }

  func fill(_ bytes: UnsafeMutableRawBufferPointer) {
    for i in bytes.indices { bytes[i] = UInt8(truncatingIfNeeded: random.next()) }
  }
}
