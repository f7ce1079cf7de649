import LogModel

/// Where a fault destroyed a part of messages, as the harness knows it by itself: from the fault's receipt and from the
/// messages that it found there by their content.
public struct DamagedPlace: Hashable, Sendable, Codable {
  /// The file, relative to the storage's root.
  public var path: String
  /// The destroyed bytes of the messages at `offsets`. An empty range names the first of them, where nobody can say how
  /// many there still are: a write that was lost, or torn. Nil where only the file is known: it was deleted, or cut
  /// short.
  public var bytes: Range<Int64>?
  /// The offsets of those messages.
  public var offsets: [OffsetRange]

  public init(path: String, bytes: Range<Int64>?, offsets: [OffsetRange]) {
    (self.path, self.bytes, self.offsets) = (path, bytes, offsets)
  }
}

extension DamagedPlace: CustomStringConvertible {
  public var description: String {
    switch bytes {
    case nil: path
    case let bytes? where bytes.isEmpty: "\(path) from byte \(bytes.lowerBound) on"
    case let bytes?: "bytes \(bytes.lowerBound)..<\(bytes.upperBound) of \(path)"
    }
  }
}

extension DamagedPlace {
  /// What a recovery adds to the name of a file that it sets aside: `.damaged-EPOCH` with the whole file, or
  /// `.cut-BYTE` with what stood from that byte on.
  private static let setAside = [".damaged-", ".cut"]

  /// Whether a report names the place: the file, also by the name that it was set aside under, and bytes among which
  /// all destroyed ones are. Where only the file is known, its folder or a file beside it is enough: the neighbour is
  /// where a reader sees that something is missing.
  func isNamed(by path: String, _ reported: Range<Int64>) -> Bool {
    guard let bytes else {
      let folder = Self.folder(self.path)
      return path == folder || Self.folder(path) == folder
    }
    guard path.hasPrefix(self.path) else { return false }
    let suffix = path.dropFirst(self.path.count)
    guard suffix.isEmpty || Self.setAside.contains(where: { suffix.hasPrefix($0) }) else { return false }
    let moved = suffix.hasPrefix(".cut-") ? Int64(suffix.dropFirst(5).prefix { $0.isNumber }) ?? 0 : 0
    return reported.lowerBound + moved <= bytes.lowerBound && bytes.upperBound <= reported.upperBound + moved
  }

  private static func folder(_ path: String) -> Substring { path.lastIndex(of: "/").map { path[..<$0] } ?? "" }
}

/// Whether what is reported is reported where it is.
extension PartitionChecker {
  /// Operations of a readback whose reports are compared with the places; each costs a pass over both.
  static let mostPlacesJudged = 256

  /// The report of a missing message must name the file that was damaged, and bytes among which the damaged ones are.
  ///
  /// Under `skip-corrupted` these are bytes of the message's own request. Under `truncate-at-corruption` the log ends
  /// at the first damage, and what stood behind it is reported with that place.
  /// - Parameter offset: the missing message, of the operation at `place`. Some report has it.
  /// - Returns: what is wrong; nil where a report has it right, and where the harness does not know the place.
  func misplacedReport(_ place: Int, missing offset: Int64) -> CheckFinding? {
    let covering = allReports.filter {
      $0.offsets.from.rawValue <= offset && offset < $0.offsets.to.rawValue
        && $0.operationsBefore ?? .max > operation(place).number
    }
    guard !covering.isEmpty, covering.allSatisfy({ $0.path != nil && $0.bytes != nil }) else { return nil }
    var scope = [(duties[place].base, duties[place].base &+ Int64(operation(place).count))]
    if contract.recovery == .truncateAtCorruption {
      scope += covering.map { ($0.offsets.from.rawValue, $0.offsets.to.rawValue) }
    }
    var known: [DamagedPlace] = []
    for (number, damage) in history.damages[..<mark.damages].enumerated()
    where damage.partition.index == partition.slot && damage.isDetectable && damage.isCertain {
      if excuses(.unseenRecovery, hasUnseenRecovery(since: damage, number)) { continue }
      known += damage.places.filter { place in
        place.offsets.contains { range in
          scope.contains { range.from.rawValue < $0.1 && $0.0 < range.to.rawValue }
        }
      }
    }
    guard let first = known.first else { return nil }
    for report in covering {
      guard let path = report.path, let bytes = report.bytes else { continue }
      if known.contains(where: { $0.isNamed(by: path, bytes) }) { return nil }
    }
    return .reportedElsewhere(offset: offset, place: first, found: covering[0].reason)
  }

  /// Whether an incarnation between the damage and this readback was cut off before anybody read it back, or an opening
  /// failed. It may have reported the place, and set the file aside: the next one finds what that has left.
  private func hasUnseenRecovery(since damage: Damage, _ number: Int) -> Bool {
    if history.failedOpenings.contains(where: { $0.damages > number && $0.incarnation <= restart }) { return true }
    let first = damage.crashesBefore + (damage.isInLife ? 1 : 0)
    guard first < restart else { return false }
    return (first..<restart).contains { unseen in !earlier.contains { $0.restart == unseen } }
  }
}
