import FaultInjection
import LogModel
import ScenarioFormat
import WriteAheadLog

/// From the words of a scenario to edits of files at rest.
enum RestingWords {
  /// Kinds that no operation shows; a bit flip is one unless it is said to be in flight.
  static let kinds: Set<String> = ["truncate-file", "delete-file", "zero-sectors", "garbage"]

  /// Parts of a request's batch that a bit flip can be aimed at. Byte ranges of its header are those of BatchFormat.swift.
  private static let parts: [String: Range<Int>] = [
    "batch-header": 0..<64, "batch-checksum": 4..<8, "batch-length": 8..<12, "batch-offset": 16..<24,
  ]

  private typealias Parameter = FaultGrammar.Parameter

  static let grammars: [FaultGrammar] = [
    FaultGrammar(
      "bit-flip",
      [
        Parameter(
          "target", .word(["batch-payload"] + parts.keys.sorted() + ["padding", "segment-head"] + seamTargets),
          isRequired: true),
        Parameter("bits", .integer(1...64)), Parameter("at", .word(["rest", "flight"])),
        Parameter("occurrence", .integer(1...1_000_000)), Parameter("phase", .word(Life.phases)),
        Parameter("partition", .integer(0...9_999)),
      ]),
    FaultGrammar("truncate-file", [Parameter("cut", .word(["boundary", "mid-record", "mid-header", "zero"]), isRequired: true)]),
    FaultGrammar("delete-file", [Parameter("files", .word(["one", "last", "all"]))]),
    FaultGrammar("zero-sectors", [Parameter("share", .integer(1...100))]),
    FaultGrammar("garbage", [Parameter("share", .integer(1...100))]),
  ]

  /// Of a bit flip in flight.
  private static let seamTargets = ["batch", "metadata"]

  /// A request that was acknowledged and is whole on the medium.
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

    /// Where its batch begins: one header, and two lengths before the first value; see BatchFormat.swift.
    var start: Int { first.lowerBound - 8 - BatchHeader.size }
  }

  static func edits(
    _ fault: FaultSpec, _ victim: Victim, _ random: inout SeededGenerator
  ) throws(TrialError) -> [RestingFault] {
    let words = FaultWords.Words(fault)
    switch fault.kind {
    case "bit-flip":
      let range = try bytes(of: words["target"] ?? "batch-payload", victim)
      return [
        .flipChosen(
          min(words.integer("bits") ?? 1, range.count * 8), in: Int64(range.lowerBound)..<Int64(range.upperBound),
          of: victim.path, seed: UInt64.random(in: 0...UInt64.max, using: &random))
      ]
    case "truncate-file":
      let cut =
        switch words["cut"] {
        case "zero": 0
        case "mid-header": victim.start + BatchHeader.size / 2
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
      let (head, end) = (Int(MessagePlaces.headBytes), (victim.end + 511) / 512 * 512)
      let count = max(512, (end - head) * (words.integer("share") ?? 1) / 100 / 512 * 512)
      let start = Int64(max(head, min(victim.start / 512 * 512, end - count)))
      let range = start..<min(start + Int64(count), Int64(victim.size))
      if fault.kind == "zero-sectors" { return [.zero(victim.path, range)] }
      return [.garbage(victim.path, range, seed: UInt64.random(in: 0...UInt64.max, using: &random))]
    default: throw .unknownFault(fault.kind)
    }
  }

  private static func bytes(of target: String, _ victim: Victim) throws(TrialError) -> Range<Int> {
    if let part = parts[target] { return victim.start + part.lowerBound..<victim.start + part.upperBound }
    switch target {
    case "segment-head": return 0..<512
    case "padding":
      // Behind the last message of a commit the bytes to the next block are padding.
      let end = (victim.last.upperBound + 7) / 8 * 8
      let block = min((end + 511) / 512 * 512, victim.size)
      guard block > end else { throw .faultMissed("there is no padding behind the request at byte \(victim.start)") }
      return end..<block
    default:
      // Past the message's head, so that it is a wrong byte of this message and not another message.
      let head = min(MessageContent.minimumSize, victim.any.count - 1)
      return victim.any.lowerBound + head..<victim.any.upperBound
    }
  }
}
