import FaultInjection
import LogModel
import ScenarioFormat
import WriteAheadLog

/// From the words of a scenario to edits of files at rest.
enum AtRestFaultGrammar {
  /// Kinds that no operation shows; a bit flip is one unless it is said to be in flight.
  static let kinds: Set<String> = ["truncate-file", "delete-file", "zero-sectors", "garbage"]

  private static let copy = FaultParameter(
    "copy", .word(FaultTarget.metadataCopies + ["both"]), "which copy of the metadata; either one without it")
  private static let share = FaultParameter(
    "share", .integer(1...100),
    "how much of the bytes that hold messages is overwritten, in percent, in whole sectors; 1 without it")

  /// By their order, which is that of their offsets.
  private static let segment = FaultParameter(
    "segment", .word(SegmentPlace.allCases.map(\.rawValue)),
    "which file of the partition's log, by their order; without it the seed chooses")

  static let descriptors: [FaultDescriptor] = [
    FaultDescriptor(
      "bit-flip", .atRest, "bits of a batch, of a segment's head or of the metadata turn over",
      [
        FaultParameter(
          "target", .word(BatchPart.allCases.map(\.rawValue) + [FaultTarget.segmentHead, .metadata].map(\.rawValue)),
          "which bytes. `batch-payload` is all behind the header, `batch-records` that without `batch-alignment`, the "
            + "zeros "
            + "that make a batch's length a multiple of 8. `padding` follows the last batch of a commit and is in no "
            + "batch; "
            + "in flight only. With another `system` only `batch`, `batch-header` and `batch-payload`",
          isRequired: true, impossible: StorageFaultGrammar.impossibleTargets),
        FaultParameter("bits", .integer(1...64), "how many bits turn over; 1 without it"),
        FaultParameter(
          "at", .word(["rest", "flight"]),
          "at rest between crash and recovery (the default), or on the way between engine and disk"),
        copy, segment,
        FaultParameter(
          "edge", .word(PartEdge.allCases.map(\.rawValue)), "the first or the last byte of the target"),
      ] + StorageFaultGrammar.trigger,
      drawn: ["batch-payload", "batch-length", "batch-offset", "batch-header"].map { ["target": $0, "at": "rest"] },
      contradictions: contradictions(ofFlip:)),
    file(
      "truncate-file", "a file is cut; not `copy: both`",
      FaultParameter(
        "cut", .word(["boundary", "mid-record", "mid-header", "zero"]),
        "where the file ends: between two requests, inside a message, inside a request's head, at 0",
        isRequired: true)),
    file(
      "delete-file", "files are deleted; not `copy: both`",
      FaultParameter(
        "files", .word(["one", "last", "all"]), "which files of the partition; `one` without it")),
    file("zero-sectors", "whole sectors read as zeros", share, drawn: [["share": "5"]]),
    file("garbage", "whole sectors hold bytes of the seed's choice", share),
  ]

  /// What is left of two copies that lose their ends says nothing of what is gone, so that such a trial would show
  /// nothing.
  private static let endsOfBoth = [
    "truncate-file": "both copies that end at one place are a log that ended there, and nothing is left that says more",
    "delete-file": "both copies that are gone are an engine that never was, and nothing is left of them that says more",
  ]

  /// A fault of whole files, or of much of one.
  private static func file(
    _ kind: String, _ meaning: String, _ parameter: FaultParameter, drawn: [[String: String]] = []
  ) -> FaultDescriptor {
    let target = FaultParameter(
      "target", .word([FaultTarget.segment, .metadata].map(\.rawValue)), "what is damaged; `segment` without it",
      impossible: StorageFaultGrammar.impossibleTargets)
    let partition = FaultParameter("partition", .integer(0...9_999), "only what belongs to this partition")
    let parameters = [target, partition, copy, segment, parameter]
    return FaultDescriptor(kind, .atRest, meaning, parameters, drawn: drawn) { words in
      var found = contradictions(ofPlace: words)
      if words["segment"] != nil, let files = words["files"], files != "one" {
        found.append(
          FaultContradiction(
            "segment", because: "files: \(files) says which files are deleted", remedy: "remove one of the two"))
      }
      if words["copy"] == "both", let because = endsOfBoth[kind] {
        found.append(
          FaultContradiction(
            "copy", because: because, remedy: "choose one copy, or hit both with bit-flip, zero-sectors or garbage"))
      }
      return found
    }
  }

  /// Where at rest: in the log of a partition, or in a copy of the metadata.
  private static func contradictions(ofPlace words: FaultWords) -> [FaultContradiction] {
    let isMetadata = words["target"] == FaultTarget.metadata.rawValue
    if isMetadata, words["partition"] != nil {
      return [
        FaultContradiction(
          "partition", because: "the metadata belongs to no partition", remedy: "remove partition, or say copy")
      ]
    }
    if isMetadata, words["segment"] != nil {
      return [
        FaultContradiction(
          "segment", because: "it is a file of a partition's log, and the metadata has none of these",
          remedy: "remove segment, or target: metadata")
      ]
    }
    if !isMetadata, words["copy"] != nil {
      return [
        FaultContradiction(
          "copy", because: "only the metadata is kept twice", remedy: "say target: metadata, or remove copy")
      ]
    }
    return []
  }

  /// At rest nothing passes: what says when a flip fires says nothing there.
  @Sendable private static func contradictions(ofFlip words: FaultWords) -> [FaultContradiction] {
    if words["at"] == "flight" {
      let copy = FaultContradiction(
        "copy", because: "which copy a flip in flight hits, occurrence says: each record passes once for each",
        remedy: "remove copy, or say at: rest")
      let segment = FaultContradiction(
        "segment", because: "which file a flip in flight hits, partition and occurrence say",
        remedy: "remove segment, or say at: rest")
      return StorageFaultRules(descriptor: .of(.bitFlip), words: words).contradictions
        + (words["copy"] == nil ? [] : [copy]) + (words["segment"] == nil ? [] : [segment])
    }
    let found = StorageFaultGrammar.trigger.map(\.name).filter { $0 != "partition" && words[$0] != nil }.map { name in
      FaultContradiction(
        name, because: "a flip at rest happens once, between crash and recovery",
        remedy: "say at: flight, or remove \(name)")
    }
    return found + contradictions(ofPlace: words)
  }

  /// A request that was acknowledged and is whole on the medium, or a batch of the metadata.
  struct Victim {
    var path: String
    /// Bytes of its first message, of one of the seed's choice, and of its last.
    var first: Range<Int>
    var any: Range<Int>
    var last: Range<Int>
    /// Where the last message of the file ends.
    var end: Int
    /// Of the file.
    var size: Int
    /// All segment files of its partition.
    var files: [String]

    let layout: FileLayout

    /// Where its request begins.
    var start: Int { first.lowerBound - Int(layout.requestHeader) }
    var requestHeader: Range<Int> { start..<first.lowerBound }
  }

  static func edits(
    _ fault: FaultSpec, _ victim: Victim, _ random: inout SeededGenerator
  ) throws(TrialError) -> [AtRestFault] {
    let words = FaultWords(fault)
    switch fault.kind {
    case "bit-flip":
      return [
        flip(
          fault, in: try bytes(of: words["target"] ?? BatchPart.payload.rawValue, victim, edge(fault)), of: victim.path,
          &random)
      ]
    case "truncate-file":
      let cut =
        switch words["cut"] {
        case "zero": 0
        case "mid-header": victim.start + victim.requestHeader.count / 2
        case "mid-record": (victim.first.lowerBound + victim.first.upperBound) / 2
        default: victim.start
        }
      return [.truncate(victim.path, to: Int64(cut))]
    case "delete-file":
      switch words["files"] {
      case "all": return victim.files.map { .delete($0) }
      case "last": return [.delete(victim.files.last ?? victim.path)]
      default: return [.delete(victim.path)]
      }
    case "zero-sectors", "garbage":
      // Of the bytes that hold messages, wherever the victim stands among them.
      let (head, end) = (Int(victim.layout.headBytes), (victim.end + 511) / 512 * 512)
      let count = max(512, (end - head) * (words.integer("share") ?? 1) / 100 / 512 * 512)
      let start = Int64(max(head, min(victim.start / 512 * 512, end - count)))
      let range = start..<min(start + Int64(count), Int64(victim.size))
      if fault.kind == "zero-sectors" { return [.zero(victim.path, range)] }
      return [.garbage(victim.path, range, seed: UInt64.random(in: 0...UInt64.max, using: &random))]
    default: throw .unknownFault(fault.kind)
    }
  }

  /// As many bits of `range` as the fault says, or all of them.
  static func flip(
    _ fault: FaultSpec, in range: Range<Int>, of path: String, _ random: inout SeededGenerator
  ) -> AtRestFault {
    let range = edge(fault)?.of(range) ?? range
    return .flipChosen(
      min(FaultWords(fault).integer("bits") ?? 1, range.count * 8),
      in: Int64(range.lowerBound)..<Int64(range.upperBound), of: path,
      seed: UInt64.random(in: 0...UInt64.max, using: &random))
  }

  /// Nil for any byte of what is hit.
  static func edge(_ fault: FaultSpec) -> PartEdge? { fault.parameters["edge"].flatMap { PartEdge(rawValue: $0) } }

  /// Padding belongs to no request; see `AtRestDamage`.
  private static func bytes(of target: String, _ victim: Victim, _ edge: PartEdge?) throws(TrialError) -> Range<Int> {
    if target == FaultTarget.segmentHead.rawValue { return 0..<512 }
    if target == FaultTarget.metadata.rawValue { return victim.start..<victim.last.upperBound }
    guard let part = BatchPart(rawValue: target), part != .padding else {
      throw .unknownFault("bit-flip of \(target) at rest")
    }
    if part == .payload, edge == nil {
      // Past the message's head, so that it is a wrong byte of this message and not another message.
      let head = min(MessageContent.minimumSize, victim.any.count - 1)
      return victim.any.lowerBound + head..<victim.any.upperBound
    }
    guard victim.layout.isBatched else {
      switch part {
      case .batch: return victim.start..<victim.last.upperBound + Int(victim.layout.trailer)
      case .header: return victim.requestHeader
      case .payload: return victim.any
      default: throw .unknownFault("bit-flip of \(target) in a log that is not the engine's own")
      }
    }
    let alignment = BatchHeader.alignment
    let end = (victim.last.upperBound + alignment - 1) / alignment * alignment
    switch part {
    case .records: return victim.start + BatchHeader.size..<victim.last.upperBound
    case .alignment:
      guard victim.last.upperBound < end else {
        throw .faultMissed(
          "the request's bytes are a multiple of \(alignment), and no zeros follow its records; choose another "
            + "message-size"
        )
      }
      return victim.last.upperBound..<end
    case .batch, .header, .checksum, .length, .offset, .payload, .padding:
      return BatchLayout.place(of: part, in: victim.start..<end)
    }
  }
}

/// One file of a partition's log, by its place among them.
enum SegmentPlace: String, CaseIterable {
  case first, second
  case lastButOne = "last-but-one"
  case last

  /// - Parameter files: of one log, in order.
  /// - Returns: nil where the log has fewer files. `last-but-one` of one file is none; `last` of one file is that one.
  func choose(in files: [String]) -> String? {
    switch self {
    case .first: files.first
    case .second: files.dropFirst().first
    case .lastButOne: files.dropLast().last
    case .last: files.last
    }
  }
}
