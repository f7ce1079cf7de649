import Defects
import Glibc
import LogModel
import PartitionEngine
import Storage
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

private func options(messages: Int = 18, _ profiles: CrashProfile..., jobs: Int = 1, defect: String? = nil)
  -> ExplorationOptions
{
  var options = ExplorationOptions()
  options.workload.messages = messages
  options.profiles = profiles
  (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
  options.jobs = jobs
  options.defect = defect.flatMap { Defect(id: $0) }
  return options
}

@Suite struct ExplorationTests {
  @Test(arguments: CrashProfile.all) func theSoundEngineHolds(profile: CrashProfile) throws {
    let report = try Exploration(options(profile)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
    #expect(report.judged > 50)
  }

  @Test func theNumberOfThreadsShowsInNothingButTheTime() throws {
    func summary(_ jobs: Int) throws -> [String] {
      let report = try Exploration(options(.raw512, .posixMinimal, jobs: jobs, defect: "C8")).run()
      return report.text.dropLast().map { $0 }
    }
    #expect(try summary(1) == summary(2))
  }

  @Test(arguments: ["C1", "C2", "C2b", "C3", "C8"]) func aDefectIsFound(id: String) throws {
    let report = try Exploration(options(.raw512, defect: id)).run()
    #expect(report.verdict == .violated)
    #expect(report.findings.allSatisfy { $0.violation.story.count <= 10 })
  }

  @Test func aDirectoryThatIsNeverSyncedHarmsWhereNamesAreFreeAndNowhereElse() throws {
    let report = try Exploration(options(.raw512, .btrfs, .xfs, .ext4Ordered, .posixMinimal, defect: "P1")).run()
    #expect(report.findings.map(\.profile) == [.posixMinimal])
    #expect(report.findings[0].violation.story.contains { $0.hasPrefix("*never durable: create topics/orders/") })
  }

  @Test(arguments: ["P2", "P8"]) func aDefectIsFoundWhereTheDeviceMisbehaves(id: String) throws {
    var own = options(messages: 36, .raw512, .btrfs)
    own.workload.deviceFaults = .usual(.always)
    #expect(try Exploration(own).run().verdict == .held)
    own.defect = Defect(id: id)
    #expect(try Exploration(own).run().verdict == .violated)
  }

  @Test(arguments: ["A4", "H3", "R1"]) func aDefectAtTheSeamIsFound(id: String) throws {
    #expect(try Exploration(options(.raw512, defect: id)).run().verdict == .violated)
  }

  /// A torn record needs a sector that is there and one that is not; where a unit holds all of it, nothing is ever
  /// torn.
  @Test func aTornRecordThatSwallowsTheNextIsFoundWhereRecordsAreTorn() throws {
    let report = try Exploration(options(.raw4k, .raw512, defect: "H2")).run()
    #expect(report.findings.allSatisfy { $0.profile == .raw512 })
    let loss = try #require(report.findings.first { $0.violation.check == .noAcknowledgedLoss })
    // The workload has six messages a partition; the next number is that of the message which the first life appends.
    #expect(
      loss.violation.detail.contains("message 6 "),
      "what is lost was appended after the first restart: \(loss.violation.detail)")
  }

  @Test func staleRecordsAreFoundWhereForeignBytesCanBeSeen() throws {
    let report = try Exploration(options(messages: 60, .ext4Ordered, .ext4Writeback, defect: "P3")).run()
    #expect(!report.findings.isEmpty)
    #expect(report.findings.allSatisfy { $0.profile == .ext4Writeback })
  }

  @Test func aRecoveryThatIsNotRepeatableIsFoundAtDepthTwoOnly() throws {
    var own = options(.raw512, defect: "P7")
    #expect(try Exploration(own).run().verdict == .held)
    own.depth = 2
    #expect(try Exploration(own).run().verdict == .violated)
    own.defect = nil
    #expect(try Exploration(own).run().verdict == .held)
  }

  /// Recovery has more to lose of a message that was acknowledged than of one that was not, and both look alike.
  @Test func aRecoveryIsCutOffBeforeAndAfterAnAcknowledgement() throws {
    var own = options(messages: 1, .raw512, defect: "P7")
    (own.workload.partitions, own.workload.producers, own.workload.messagesPerBatch) = (1, 1, 1)
    (own.depth, own.workload.messageSize, own.statesPerPoint) = (2, 600, 4096)
    let report = try Exploration(own).run()
    #expect(report.findings.contains { $0.violation.check == .noAcknowledgedLoss }, "\(report.text)")
    #expect(report.text.contains { $0.contains("recoveries cut off, of") })
  }

  @Test func aDeviceFaultThatNeverHappensLeavesNoVerdict() throws {
    var own = options(.raw512)
    own.workload.deviceFaults = DeviceFaultPlan(failingSync: 1_000_000)
    #expect { _ = try Exploration(own) } throws: { error in
      if case ExplorationError.deviceFaultNeverHappened = error { true } else { false }
    }
  }

  @Test(arguments: [SyncPolicy.interval(.milliseconds(1)), .never])
  func theSoundEngineHoldsUnderThePoliciesThatPromiseLess(policy: SyncPolicy) throws {
    var own = options(.raw512, .posixMinimal)
    own.workload.syncPolicy = policy
    let report = try Exploration(own).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
  }

  @Test(arguments: ["C8", "P1", "P3"]) func theReductionMissesNothing(id: String) throws {
    var own = options(.ext4Writeback, .posixMinimal, defect: id)
    own.calibration = 200
    for result in try Exploration(own).run().profiles {
      #expect(result.calibration?.all.states == 200)
      #expect(result.calibration?.all.differing == 0 && result.calibration?.all.straying == 0)
      #expect(result.calibration?.readAlike?.isClean == true)
      #expect(result.contradictions == 0)
    }
  }

  /// P7 shows inside recoveries only: there the reduction is calibrated too.
  @Test func theReductionMissesNothingInsideRecoveries() throws {
    var own = options(.raw512, defect: "P7")
    (own.depth, own.calibration) = (2, 100)
    let result = try #require(try Exploration(own).run().profiles.first)
    let inside = try #require(result.nested.calibration)
    #expect(inside.states == 100 && inside.violated > 0 && inside.isClean)
    let others = try #require(result.nested.others)
    #expect(others.states > 0 && others.missed == 0)
  }

  /// A write that gives EIO, and is there all the same.
  @Test(arguments: ["C16", "A3"]) func aDefectIsFoundWhereAWriteFails(id: String) throws {
    var own = options(messages: 36, .raw512)
    own.workload.deviceFaults = DeviceFaultPlan(failingWriteEvery: 5)
    #expect(try Exploration(own).run().verdict == .held)
    own.defect = Defect(id: id)
    #expect(try Exploration(own).run().verdict == .violated)
  }

  @Test func theReportHasTheKeysOfTheContract() throws {
    let json = try Exploration(options(.raw4k, .raw512)).run().json()
    let keys = [
      "exploration", "profile", "bound", "statesVisited", "statesUnique", "statesJudged", "groups", "sampled",
      "judgedPerSecond", "violations", "crashPoints", "depth", "profiles",
    ]
    for key in keys { #expect(json.contains("\"\(key)\" :"), "\(key)") }
  }

  // MARK: What two lives must differ in to be told apart

  /// Messages alone say neither that an answer began before what was asked for, nor that damage was passed over.
  @Test func transcriptsDifferByEveryAnswer() {
    let answers: [(String, (inout Transcript) -> Void)] = [
      ("nothing", { _ in }), ("back", { $0.wentBack(0, 3, to: 2) }), ("further back", { $0.wentBack(0, 3, to: 1) }),
      ("over", { $0.passedOver(0, 3, to: 4) }), ("further over", { $0.passedOver(0, 3, to: 5) }),
      ("flushed", { $0.flushed(.acknowledged) }),
      ("not flushed", { $0.flushed(.failed) }), ("elsewhere", { $0.message(0, 3, .intact(sequence: 7)) }),
      ("damaged", { $0.message(0, 3, .corrupt) }),
    ]
    var hashes: [UInt64: String] = [:]
    for (name, answer) in answers {
      var transcript = Transcript(isKept: false)
      transcript.opened(1)
      answer(&transcript)
      transcript.message(0, 2, .intact(sequence: 9))
      #expect(hashes.updateValue(name, forKey: transcript.hash) == nil, "\(name)")
    }
    // How much one answer holds is the engine's affair.
    var (one, two) = (Transcript(isKept: false), Transcript(isKept: false))
    for offset: Offset in [2, 3] {
      one.message(0, offset, .intact(sequence: 9))
      two.asked(0, offset)
      two.message(0, offset, .intact(sequence: 9))
    }
    #expect(one.hash == two.hash)
  }

  /// No space in any log once the other writer has claimed its epoch.
  private final class FullForTheTaker: StorageWrapper, @unchecked Sendable {
    private var claims = 0

    override func pass<Value>(
      _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
      if call.kind == .open, call.path.hasPrefix("writers/") { claims += 1 }
      if claims > 1, call.kind == .write, call.path.hasPrefix("topics/") {
        throw StorageError(errno: ENOSPC, .write, call.path)
      }
      return try await operation()
    }
  }

  @Test func aTakerThatAcceptsNothingIsNoRecording() throws {
    var workload = ExplorationWorkload()
    (workload.messages, workload.isTakenOver) = (24, true)
    let recording = try workload.record(parts: EngineParts()) { $0 }
    #expect(recording.hasAnswered(producersFrom: workload.producers))
    do throws(ExplorationError) {
      _ = try workload.record(parts: EngineParts()) { FullForTheTaker($0) }
      Issue.record("it is recorded")
    } catch {
      #expect(error == .recordingFailed("the writer that has taken over accepts none of its requests"))
    }
  }
}
