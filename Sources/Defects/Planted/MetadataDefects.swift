import PartitionEngine

/// Bugs of the log that an engine keeps for itself.
extension Defect {
  static let metadataLog: [Defect] = [
    Defect(
      "P38", origin: "planted", "The metadata log is compacted when an engine opens, and never while it runs.",
      showsWhen:
        "offsets are committed for a long time: each commit takes a block of each copy, though one record holds what "
        + "they say"
    ) { $0.compaction = CompactedAtOpeningOnly() }
  ]
}

/// P38.
struct CompactedAtOpeningOnly: MetadataCompacting {
  func limit(live: Int64) -> Int64 { .max }
}
