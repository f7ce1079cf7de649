import FaultInjection
import LogModel
import ScenarioFormat
import Storage
import Testing

@testable import Trials

/// Faults that would never fire, or of whose words some would be passed over: refused, with a place and what to do.
@Suite struct FaultRulesTests {
  private func errors(_ fault: String) -> [String] {
    let text = "name: a\ntitle: t\nmatrix: { messages: 20 }\nfaults: [\(fault)]"
    do throws(InvalidScenarios) {
      _ = try ScenarioParser.parse(text, file: "a.yaml", vocabulary: TrialPlanner.vocabulary)
      return []
    } catch { return error.errors.map(\.description) }
  }

  @Test(arguments: [
    ("no-space: { at-byte: 100, share: 50 }", 36, "no-space: at-byte and share each say when it fires: keep one of"),
    ("no-space: { every: 3, after: 1ms }", 32, "no-space: every and after each say when it fires: keep one of"),
    ("no-space: { chance: 3, share: 5 }", 22, "no-space: share and chance each say when it fires: keep one of"),
    ("no-space: { share: 5, occurrence: 2 }", 32, "no-space: share says when it fires, and no occurrence is counted"),
    ("no-space: { freed-at: 20 }", 22, "no-space: it does not last until space is freed: add lasting: until-freed"),
    ("io-error: { lasting: sticky, times: 3 }", 39, "io-error: lasting and times each say how long it lasts: keep one"),
    ("io-error: { for: 1s, times: 3 }", 22, "io-error: times and for each say how long it lasts: keep one"),
    ("read-only: { times: 3 }", 23, "read-only: a file system that has been mounted read-only stays so: remove it"),
    (
      "io-error: { target: directory }", 22,
      "io-error: it would never fire on read, sync, write with target directory: say on: one of list, makeDirectory"
    ),
    ("lost-write: { on: read }", 24, "lost-write: it would never fire on read with target any: it can be on write"),
    (
      "lost-write: { target: directory }", 24,
      "lost-write: it would never fire, for it hits nothing of target directory"
    ),
    ("io-error: { on: lock, target: segment }", 22, "io-error: it would never fire on lock with target segment"),
    (
      "io-error: { on: linkCount, partition: 1 }", 37,
      "io-error: it would never fire, for what it hits belongs to no partition"
    ),
    (
      "lost-write: { moment: completion }", 24,
      "lost-write: it is an edit of the operation and has no moment of its own"
    ),
    ("io-error: { moment: in-flight }", 30, "unknown moment 'in-flight'"),
    ("stall: { target: batch }", 10, "stall has no 'delay'"),
    ("stall: { delay: 0ms, target: batch }", 19, "stall: a delay of nothing is no stall: say how long, like 10ms"),
    ("torn-write: { kept: sectors }", 24, "torn-write: it does not say which sectors: add sectors"),
    ("torn-write: { sectors: \"1\" }", 24, "torn-write: kept is prefix: say kept: sectors, or remove sectors"),
    ("torn-write: { kept: any, bytes: 5 }", 35, "torn-write: kept is any: say kept: prefix or kept: suffix"),
    ("torn-write: { unit: page, bytes: 5 }", 24, "torn-write: where it is torn has been said to the byte: remove unit"),
    ("torn-write: { kept: sectors, sectors: \"1,x\" }", 48, "sectors is '1,x'; expected numbers from 0"),
    (
      "stale-read: { phase: recover }", 24,
      "stale-read: it can never fire: it needs a write of the same life, and phase recover reads what earlier lives "
        + "wrote"
    ),
    (
      "bit-flip: { target: batch, phase: produce }", 37,
      "bit-flip: a flip at rest happens once, between crash and recovery: say at: flight"
    ),
    ("bit-flip: { target: batch, at: flight, moment: completion }", 49, "bit-flip: it is an edit of the operation"),
    ("bit-flip: { target: rotation, at: flight }", 30, "unknown target 'rotation'"),
  ])
  func whatCannotBeIsRefusedAtItsPlace(fault: String, column: Int, text: String) {
    let found = errors(fault)
    #expect(found.count == 1 && found.first?.hasPrefix("a.yaml:4:\(column): \(text)") == true, "\(found)")
  }

  @Test(arguments: [
    (
      "io-error: { target: index }", 30,
      "target 'index' cannot be: the engine keeps its sparse index in memory only, and nothing of it is ever written"
    ),
    ("bit-flip: { target: index }", 30, "target 'index' cannot be: the engine keeps its sparse index in memory only"),
    (
      "delete-file: { target: index }", 33, "target 'index' cannot be: the engine keeps its sparse index in memory only"
    ),
    (
      "io-error: { phase: rotate, target: metadata }", 22,
      "io-error: it would never fire, for what passes in phase rotate is of the log that makes a segment, and not "
        + "target metadata: choose another phase"
    ),
    (
      "io-error: { phase: checkpoint, target: batch }", 22,
      "io-error: it would never fire, for what passes in phase checkpoint is of the metadata, and not target batch"
    ),
    (
      "io-error: { phase: checkpoint, partition: 1 }", 41,
      "io-error: it would never fire, for what it hits belongs to no partition"
    ),
    (
      "io-error: { phase: checkpoint, on: read }", 22,
      "io-error: it would never fire on read in phase checkpoint: choose another phase, or say on: one of"
    ),
    ("stale-read: { phase: checkpoint }", 24, "stale-read: it would never fire on read in phase checkpoint"),
    ("io-error: { on: linkCount, phase: rotate }", 37, "io-error: it would never fire on linkCount in phase rotate"),
    ("io-error: { phase: rotation }", 29, "unknown phase 'rotation'"),
    (
      "delete-file: { target: metadata, partition: 1 }", 43,
      "delete-file: the metadata belongs to no partition: remove partition, or say copy"
    ),
    (
      "delete-file: { copy: metadata }", 25,
      "delete-file: only the metadata is kept twice: say target: metadata, or remove copy"
    ),
    (
      "truncate-file: { target: metadata, copy: both, cut: zero }", 45,
      "truncate-file: both copies that end at one place are a log that ended there, and nothing is left that says "
        + "more: choose one copy"
    ),
    (
      "delete-file: { target: metadata, copy: both }", 43,
      "delete-file: both copies that are gone are an engine that never was, and nothing is left of them that says "
        + "more: choose one copy"
    ),
    (
      "bit-flip: { target: metadata, at: flight, copy: both }", 52,
      "bit-flip: which copy a flip in flight hits, occurrence says"
    ),
    ("bit-flip: { target: batch, copy: both }", 37, "bit-flip: only the metadata is kept twice"),
    ("garbage: { target: batch }", 29, "unknown target 'batch'"),
    (
      "bit-flip: { target: metadata, at: rest, segment: last }", 50,
      "bit-flip: it is a file of a partition's log, and the metadata has none of these: remove segment"
    ),
    (
      "bit-flip: { target: batch, at: flight, segment: last }", 49,
      "bit-flip: which file a flip in flight hits, partition and occurrence say: remove segment, or say at: rest"
    ),
    (
      "delete-file: { files: all, segment: first }", 37,
      "delete-file: files: all says which files are deleted: remove one of the two"
    ),
  ])
  func aPhaseACopyOrAPartitionThatCannotBeIsRefusedAtItsPlace(fault: String, column: Int, text: String) {
    whatCannotBeIsRefusedAtItsPlace(fault: fault, column: column, text: text)
  }

  @Test(arguments: [
    "io-error: { phase: rotate, on: syncDirectory, partition: 2 }", "no-space: { phase: checkpoint, target: metadata }",
    "bit-flip: { target: segment-head, at: flight, phase: rotate }",
    "bit-flip: { target: metadata, at: rest, copy: both }",
    "zero-sectors: { target: metadata, share: 100, copy: both }", "garbage: { target: metadata, copy: both }",
    "io-error: { on: unlink, phase: checkpoint }", "bit-flip: { target: batch-length, partition: 1 }",
    "delete-file: { partition: 1, files: all }", "garbage: { target: metadata, copy: metadata-mirror }", "zero-sectors",
    "delete-file: { segment: last-but-one }", "too-many-open-files: { on: lock, lasting: sticky }",
    "timed-out: { on: syncDirectory, moment: completion }",
  ])
  func phasesCopiesAndPartitionsAreTaken(fault: String) { #expect(errors(fault) == []) }

  /// What is derived from the words that a life announces must be among them.
  @Test func aLifeAnnouncesWhatCheckpointsDependOn() {
    #expect(Set(["commit", "close", "recover"]).isSubset(of: Incarnation.phases))
    #expect(Set(Incarnation.phases).isDisjoint(with: FaultTrigger.derivedPhases))
  }

  @Test(arguments: [
    "no-space: { target: batch, every: 3, occurrence: 2, times: 6 }", "no-space: { at-byte: 20KiB, times: 3 }",
    "no-space: { share: 30, lasting: until-freed, freed-at: 70 }", "io-error: { target: directory, on: list }",
    "io-error: { on: linkCount, phase: produce }", "io-error: { on: lock }",
    "io-error: { moment: completion, target: batch }",
    "read-only: { share: 50, for: 10ms }", "torn-write: { kept: sectors, sectors: \"0,2\" }",
    "bit-flip: { target: batch-length, at: flight, on: write, chance: 10 }",
    "bit-flip: { target: metadata, at: flight }",
    "stale-read: { phase: verify }", "stale-read: { phase: look }", "stall: { delay: 1ms }",
    "bit-flip: { target: padding, at: rest, bits: 3 }",
  ])
  func whatCanBeIsTaken(fault: String) { #expect(errors(fault) == []) }

  @Test func aTokenThatWasEditedByHandIsHeldToTheSameRules() throws {
    let token = Token.encode(spec(storage: .memory))
    for field in ["f=stall/target-batch", "f=no-space/share-5/at-byte-7"] {
      do throws(Token.Failure) {
        _ = try Token.decode(edited(token, adding: field))
        Issue.record("\(field) was taken")
      } catch {
        guard case .badFault(field, _) = error else { throw error }
      }
    }
    let fault = FaultSpec(kind: "torn-write", parameters: ["kept": "sectors", "sectors": "0,2", "target": "batch"])
    #expect(try Token.decode(Token.encode(spec(storage: .memory, faults: [fault]))).faults == [fault])
  }
}
