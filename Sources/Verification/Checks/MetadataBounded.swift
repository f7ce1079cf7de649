import LogModel

/// What the metadata log of an engine took on its disk, as whoever sees its operations knows it.
public struct MetadataFootprint: Hashable, Sendable {
  /// Bytes of the files of its larger copy together, at the most.
  public var peak: Int64
  /// Bytes that the files of that copy have become longer by: so long it would be if nothing had ever been removed.
  public var grown: Int64

  public init(peak: Int64, grown: Int64) { (self.peak, self.grown) = (peak, grown) }

  /// Bytes that it takes at most to say what must be known: one record of each topic, one of each offset that a group
  /// has committed, four of each partition (`docs/formats.md`). A record takes 16 bytes of the batch that carries it, a
  /// word of 8 letters at most, names, and numbers of 20 characters at most with what parts them.
  static func live(_ history: History) -> Int64 {
    let number: Int64 = 20
    let word: Int64 = 16 + 8
    var names: Set<String> = []
    var bytes: Int64 = 0
    for creation in history.creations {
      let name = Int64(creation.partition.topic.utf8.count)
      if names.insert(creation.partition.topic).inserted { bytes += word + name + number }
      bytes += 3 * (word + name + 3 * number) + word + name + 5 * number
    }
    struct Position: Hashable {
      var group: String
      var partition: PartitionSlot
    }
    for position in Set(history.commits.map { Position(group: $0.group, partition: $0.partition) }) {
      let topic = history.creations[position.partition.index].partition.topic
      bytes += word + Int64(position.group.utf8.count + topic.utf8.count) + 3 * number
    }
    return bytes
  }
}

extension CheckResult {
  /// Whether no copy of the metadata log ever took more than four times what it takes to say the same anew, and 4 MiB.
  /// - Parameter hindered: whether faults stood in the engine's way, which may keep it from removing what is void.
  public static func metadataBounded(_ footprint: MetadataFootprint, _ history: History, hindered: Bool) -> CheckResult
  {
    guard footprint.peak > 0 else {
      return .found(.metadataBounded, .unknown, "nobody has seen a file of the metadata log")
    }
    let live = MetadataFootprint.live(history)
    let limit = 4 * live + (4 << 20)
    guard footprint.peak > limit else {
      return CheckResult(.metadataBounded, .held, footprint.grown > limit ? "" : Self.vacuous)
    }
    let text =
      "a copy of the metadata log, which \(live) bytes say anew, may take \(limit) bytes on the disk, found "
      + "\(footprint.peak)"
    if excuses(.metadata, hindered) {
      return .found(.metadataBounded, .unknown, text + "; faults may have kept the engine from removing what is void")
    }
    return .found(.metadataBounded, .violated, text)
  }
}
