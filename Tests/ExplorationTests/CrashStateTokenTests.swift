import LogModel
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

@Suite struct CrashStateTokenTests {
  private static let token =
    "x1.m=18.p=3.n=6.b=2.z=300.s=always.g=16384.o=1.i=0-0.d=P1.seed=7.pr=posix-minimal.e=61.k=all_3-0_7-2.h=01ab23cd"

  private static let states: [CrashState] = {
    var workload = ExplorationWorkload()
    (workload.messages, workload.partitions, workload.producers) = (7, 2, 3)
    (workload.messagesPerBatch, workload.messageSize, workload.segmentBytes) = (4, 24, 1 << 20)
    (workload.syncPolicy, workload.commitsOffsets, workload.seed) = (.interval(.milliseconds(3)), false, .max)
    workload.deviceFaults = DeviceFaultPlan(shortWriteEvery: 4, failingSync: 9, failingWriteEvery: 2)
    let none = KeptPieces("none")!
    return [
      CrashState(
        workload: .reference, defect: nil, profile: .raw4k, cut: CrashState.Cut(event: 0, kept: none), recoveryCut: nil,
        fingerprint: 0),
      CrashState(
        workload: workload, defect: "P7", profile: .ext4Writeback,
        cut: CrashState.Cut(event: 12, kept: KeptPieces("all_0-1_12-65535")!),
        recoveryCut: CrashState.Cut(event: 3, kept: none), fingerprint: .max),
    ]
  }()

  @Test(arguments: states) func everyFieldCrossesAndComesBack(state: CrashState) throws {
    let token = CrashStateToken.encode(state)
    #expect(try CrashStateToken.decode(token) == state)
    // A shell leaves it alone.
    #expect(token.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-=".contains($0)) })
    #expect(CrashStateToken.warning(for: token) == nil && CrashStateToken.warning(for: Self.token) != nil)
  }

  /// Of a changed defect the fingerprint says nothing: the disk is the same.
  @Test func everyCutAndEveryChangeIsRefused() throws {
    let token = CrashStateToken.encode(Self.states[1])
    for at in 0..<token.count {
      #expect(throws: CrashStateToken.Failure.self) { try CrashStateToken.decode(String(token.prefix(at))) }
      #expect(throws: CrashStateToken.Failure.self) { try CrashStateToken.decode(String(token.dropFirst(at + 1))) }
      for letter in "07aPZ._-=" {
        var letters = Array(token)
        guard letters[at] != letter else { continue }
        letters[at] = letter
        #expect(throws: CrashStateToken.Failure.self) { try CrashStateToken.decode(String(letters)) }
      }
    }
    #expect(throws: CrashStateToken.Failure.self) {
      try CrashStateToken.decode(token.replacing("d=P7", with: "d=none"))
    }
  }

  @Test(arguments: [
    ("x1.", "x2."), ("m=18", "m=0"), ("m=18", "m=+18"), ("m=18", "m=1000000"), (".m=18", ""), ("p=3", "p=3.p=3"),
    ("p=3", "q=3"),
    ("s=always", "s=sometimes"), ("o=1", "o=2"), ("i=0-0", "i=0"), ("i=0-0", "i=0-0-0"), ("i=0-0", "i=0-0-1-1"),
    ("d=P1", "d=P99"), ("seed=7", "seed=-7"),
    ("pr=posix-minimal", "pr=fat32"), ("e=61", "e="), ("k=all_3-0_7-2", "k=some"), ("k=all_3-0_7-2", "k=all_7-2_3-0"),
    ("k=all_3-0_7-2", "k=all_3-4294967296"), ("h=01ab23cd", "h=1ab23cd"), ("h=01ab23cd", "h=01AB23CD"),
    (".h=01ab23cd", ""),
    ("k=all", "re=4.k=all"), ("z=300", "z=9000"), ("g=16384", "g=1"), ("h=01ab23cd", "h=01ab23cd."),
  ])
  func aTokenThatDoesNotParseIsRefused(part: String, other: String) throws {
    _ = try CrashStateToken.decode(Self.token)
    let broken = Self.token.replacing(part, with: other)
    #expect(broken != Self.token)
    #expect(throws: CrashStateToken.Failure.self) { try CrashStateToken.decode(broken) }
  }

  private static let found: CrashState? = {
    do throws(ExplorationError) {
      let specimen = Specimen.all.first { $0.id == "P7" }!
      return try Exploration(specimen.options(seed: 1)).run().findings.first?.violation.state
    } catch {
      Issue.record(error)
      return nil
    }
  }()

  @Test func aFindingIsShownAgain() throws {
    let state = try #require(Self.found)
    let replay = try StateReplay(CrashStateToken.decode(CrashStateToken.encode(state)))
    #expect(replay.verdict == .violated && replay.check?.name == .noAcknowledgedLoss)
    #expect(replay.check?.divergence != nil)
    #expect(replay.timeline.contains { $0.hasPrefix("power cut inside the recovery") })
    #expect(replay.report.findings.first?.violation.state == state)
  }

  @Test(arguments: 0..<7) func aTokenThatDoesNotFitItsRecordingAnyMoreIsRefused(edit: Int) throws {
    var state = try #require(Self.found)
    switch edit {
    case 0: state.fingerprint ^= 1
    case 1: state.cut.event += 100_000
    case 2: state.cut.kept = try #require(KeptPieces("all_9999-0"))
    case 3: state.recoveryCut?.event = 100_000
    case 4: state.workload.seed += 1
    case 5: state.cut.event -= 1
    default: state.workload.messageSize += 1
    }
    do throws(ExplorationError) {
      _ = try StateReplay(state)
      Issue.record("it was taken")
    } catch {
      guard case .stateDoesNotFit = error else { throw error }
    }
  }
}
