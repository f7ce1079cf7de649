import FaultInjection
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Faults hit what they are aimed at, or there is no verdict; what they touch is excused, and nothing else.
@Suite struct AimedFaultTests {
  private func run(_ fault: FaultSpec, sync: String = "always", messages: Int = 40) throws -> (PhaseReply, TrialSpec) {
    let scratch = try TrialScratch()
    let spec = spec(messages: messages, sync: sync, crash: .processKill, storage: .memory, faults: [fault])
    return (try SimulatedTrial(spec, scratch.folder).run(), spec)
  }

  private func storageFault(_ kind: String, _ parameters: [String: String]) -> FaultSpec {
    FaultSpec(
      kind: kind, parameters: ["target": "batch", "phase": "produce", "occurrence": "1"].merging(parameters) { $1 })
  }

  /// Under `always` a segment's first write behind its head fills it ahead with zeros, and is no batch: a fault that
  /// "fired" there destroyed nothing, and the trial counted as held.
  @Test(arguments: ["lost-write", "silent-no-space", "misdirected-write"], ["always", "interval(100ms)", "never"])
  func theFirstBatchIsNotTheZeroFill(kind: String, sync: String) throws {
    let (reply, spec) = try run(storageFault(kind, [:]), sync: sync)
    #expect(spec.unfired(reply.storageFaults) == [])
    #expect(reply.storageFaults.contains { !$0.touched.isEmpty }, "\(reply.storageFaults)")
    let judgement = try #require(reply.judgement)
    #expect(judgement.verdict == .held && judgement.losses.contains { $0.isTouched && $0.most > 0 }, "\(judgement)")
  }

  /// Five messages of 100 bytes are a batch of 608, padded to 1024: what is lost of it is not always of a message.
  @Test(arguments: [(600, true), (608, false), (800, false)])
  func aTearOfPaddingIsNoTearOfABatch(bytes: Int, isHit: Bool) throws {
    let fault = storageFault(
      "torn-write", ["kept": "prefix", "bytes": "\(bytes)", "rest": "garbage", "answer": "success"])
    let (reply, spec) = try run(fault, messages: 5)
    #expect(
      spec.unfired(reply.storageFaults)
        == (isHit ? [] : ["the fault torn-write is aimed at batches and touched no message"]))
  }

  /// Each part in flight; padding is nobody's and costs nobody anything.
  @Test(arguments: BatchPart.allCases)
  func aFlipInFlightHitsThePartThatItNames(_ part: BatchPart) throws {
    let (reply, spec) = try run(storageFault("bit-flip", ["target": part.rawValue, "at": "flight"]))
    #expect(spec.unfired(reply.storageFaults) == [])
    let touched = reply.storageFaults.flatMap(\.touched)
    #expect(touched.isEmpty == (part == .padding), "\(reply.storageFaults)")
    #expect(reply.judgement?.verdict == .held)
    #expect(reply.judgement?.losses.first?.lost == (part == .padding ? 0 : 5), "\(String(describing: reply.judgement))")
  }

  @Test func aFlipOfPaddingAtRestExcusesNothing() throws {
    let fault = FaultSpec(kind: "bit-flip", parameters: ["target": "padding", "at": "rest"])
    let (reply, _) = try run(fault)
    let receipt = try #require(reply.receipts.first { $0.kind == "bit-flip" })
    #expect(receipt.fired == 1 && receipt.touched.isEmpty)
    #expect(
      reply.judgement?.verdict == .held && reply.judgement?.losses.first.map { $0.lost == 0 && $0.most == 0 } == true)
    #expect(throws: TrialError.self, "under `never` nothing is padded") { try run(fault, sync: "never") }
  }

  @Test func oneCopyOfAHeadExcusesNothing() throws {
    let fault = FaultSpec(kind: "bit-flip", parameters: ["target": "segment-head", "at": "rest", "bits": "8"])
    let (reply, _) = try run(fault)
    #expect(try #require(reply.receipts.first { $0.kind == "bit-flip" }).touched.isEmpty)
    #expect(
      reply.judgement?.verdict == .held && reply.judgement?.losses.first.map { $0.lost == 0 && $0.most == 0 } == true)
  }

  // MARK: Places

  static let path = "topics/orders/0/00000000000000000000-0000000001.log"

  /// What recovery puts aside is no log any more. To note its messages took the memory that the recovery was judged by.
  @Test(arguments: [("", 2), (".damaged-2", 0), (".cut", 0), (".cut-4096", 0), (".new", 2)])
  func aFileThatIsSetAsideHasNoMessages(_ suffix: String, count: Int) {
    var places = places(Self.path + suffix)
    places.move(Self.path + suffix, to: Self.path)
    #expect(places.messages(in: [FileRange(Self.path, 0..<5120)]).count == count)
  }

  /// Two batches of one message of 100 bytes each, in sectors of their own.
  private func places(_ path: String = Self.path) -> MessagePlaces {
    let spec = spec()
    var places = MessagePlaces(spec)
    let content = MessageContent(seed: spec.seed, topic: spec.topic, partition: 0)
    var bytes = [UInt8](repeating: 0, count: 4096 + 1024)
    for number in 0..<2 {
      let start = 4096 + number * 512 + 72
      bytes.withUnsafeMutableBytes {
        content.write(sequence: UInt64(number), into: UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + 100]))
      }
    }
    bytes.withUnsafeBytes { places.note(path, $0, at: 0) }
    return places
  }

  private func touched(_ ranges: Range<Int64>...) -> [UInt64] {
    var places = places()
    return ranges.flatMap { places.destroy([FileRange(Self.path, $0)]) }.map(\.sequence)
  }

  @Test func paddingBelongsToNobodyAndHeadersToWhatTheyHead() {
    // A batch of 172 bytes, padded to 176 under its checksum, and to 512 with nothing.
    #expect(touched(4096..<4097) == [0] && touched(4167..<4168) == [0] && touched(4271..<4272) == [0])
    #expect(touched(4272..<4608) == [])
    #expect(touched(4608..<4609) == [1] && touched(4600..<4700) == [1] && touched(4271..<4609) == [0, 1])
    #expect(touched(4784..<5120) == [])
  }

  @Test func aHeadIsLostWithItsSecondCopyOnly() {
    #expect(touched(0..<512) == [] && touched(2048..<2049) == [] && touched(512..<2048) == [])
    #expect(touched(2560..<4096) == [])
    #expect(touched(0..<4096) == [0, 1])
    #expect(touched(10..<11, 2100..<2101) == [0, 1], "one after the other")
    #expect(touched(10..<11, 20..<21) == [], "twice the same")
  }

  @Test func aCopyThatIsWrittenAgainCountsAnew() {
    var places = places()
    #expect(places.destroy([FileRange(Self.path, 0..<1)]) == [])
    let head = [UInt8](repeating: 7, count: 4096)
    head.withUnsafeBytes { places.note(Self.path, $0, at: 0) }
    #expect(places.destroy([FileRange(Self.path, 2048..<2049)]) == [])
    #expect(places.destroy([FileRange(Self.path, 0..<1)]).count == 2)
  }

  @Test func copiesThatDifferInAFileLeaveOne() {
    var places = places()
    var head = [UInt8](repeating: 7, count: 4096)
    head[3] = 8
    head.withUnsafeBytes { places.note(Self.path, $0, at: 0) }
    #expect(places.destroy([FileRange(Self.path, 2048..<2049)]).count == 2)
  }
}
