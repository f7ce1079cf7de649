import Defects
import LogModel
import Storage
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

/// The reduction by read set: what it counts off, that it changes nothing, and that it is found out where it is wrong.
@Suite struct ReadSetTests {
  private func options(_ profile: CrashProfile, jobs: Int = 1, defect: String? = nil) -> ExplorationOptions {
    var options = ExplorationOptions()
    options.workload.messages = 18
    options.profiles = [profile]
    (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
    options.jobs = jobs
    options.defect = defect.flatMap { Defect(id: $0) }
    return options
  }

  @Test(arguments: [CrashProfile.raw512])
  func whatIsCountedOffIsNotLost(profile: CrashProfile) throws {
    for defect in [nil, "C8"] {
      var own = options(profile, defect: defect)
      let with = try Exploration(own).run().profiles[0]
      own.comparesReadSets = false
      let without = try Exploration(own).run().profiles[0]
      #expect(without.readAlike == 0 && without.judged == without.unique)
      #expect(with.judged + with.readAlike == with.unique)
      #expect(with.groups == without.groups && with.violatedStates == without.violatedStates)
      #expect(with.violations == without.violations)
      #expect(with.contradictions == 0)
    }
  }

  /// Two disks that differ in a file which recovery sees and does not read, and one that differs in a file which it
  /// reads.
  @Test func disksThatDifferInWhatNobodyReadsAreOne() throws {
    let exploration = try Exploration(options(.raw512))
    var recording = exploration.recording
    let path = recording.table.intern("topics/orders/0/notes")
    let run = ProfileRun(exploration, .raw512)
    let last = run.point(run.events.count - 1)
    func image(_ sector: SectorID, in readFile: Bool) throws -> DiskImage {
      var image = last.image(last.everything)
      let log = try #require(image.names.first { recording.table.paths[Int($0.path)].hasSuffix(".log") })
      image.names.append((path, .file(Int32(image.files.count))))
      image.files.append(DiskImage.File(filling: [readFile ? SectorStore.zero : sector], size: 512))
      if readFile, case .file(let file) = log.node { image.files[Int(file)].sectors[9] = sector }
      return image
    }
    let (one, other) = (SectorID(1), SectorID(2))
    let worker = exploration.worker(.raw512, on: recording)
    let known = BehaviourCache()
    let first = worker.behaviour(of: try image(one, in: false), knowing: known)
    #expect(first.behaviour == worker.run(try image(one, in: false), keeping: false).hash)
    #expect(worker.behaviour(of: try image(other, in: false), knowing: known).readSet == first.readSet)
    #expect(worker.run(try image(other, in: false), keeping: false).hash == first.behaviour)
    #expect(worker.behaviour(of: try image(other, in: true), knowing: known).readSet != first.readSet)
    #expect(known.contradictions == 0)
  }

  @Test func aSecondLifeIsReadFromToo() throws {
    let exploration = try Exploration(options(.raw512))
    let run = ProfileRun(exploration, .raw512)
    let worker = exploration.worker(.raw512)
    let known = BehaviourCache()
    // The same states by a worker that has met their second lives already, and by one that has not.
    let states = run.events.suffix(12).indices.map { index in
      let point = run.point(index)
      return point.image(point.everything)
    }
    let found = states.map { worker.behaviour(of: $0, knowing: known).readSet }
    let afresh = states.map { exploration.worker(.raw512).behaviour(of: $0, knowing: BehaviourCache()).readSet }
    #expect(found == afresh)
  }

  /// The engine reads again all that its recovery writes, so that no two states of depth 2 read alike. Here a layer
  /// writes what nobody reads: those states do.
  @Test func depthTwoIsReducedToo() throws {
    var own = options(.raw512)
    (own.workload.messages, own.bound, own.samples, own.depth) = (6, 1, 0, 2)
    let plain = try Exploration(own).run().profiles[0]
    let with = try Exploration(own, layer: { NoteKeeper($0) }).run().profiles[0]
    own.comparesReadSets = false
    let without = try Exploration(own, layer: { NoteKeeper($0) }).run().profiles[0]
    #expect(plain.nested.unique > 0 && plain.nested.readAlike == 0)
    #expect(with.nested.readAlike > 0 && with.nested.judged + with.nested.readAlike == with.nested.unique)
    #expect(without.nested.judged == without.nested.unique && with.nested.unique == without.nested.unique)
    #expect(with.nested.groups == without.nested.groups && with.violatedStates == without.violatedStates)
    #expect(with.contradictions == 0)
  }

  @Test func theNumberOfThreadsChangesNoCount() throws {
    func counts(_ jobs: Int) throws -> [Int] {
      let result = try Exploration(options(.ext4Writeback, jobs: jobs)).run().profiles[0]
      return [result.judged, result.readAlike, result.groups, result.contradictions]
    }
    #expect(try counts(1) == counts(2))
  }

  /// A question that is left out makes one of states that differ. Not so `node`, whose answer the names in the
  /// directory give too, and `links`: in every state a file has one name.
  @Test(arguments: [DiskQuestion.Kind.names, .size, .sectors])
  func aQuestionThatIsLeftOutIsFound(kind: DiskQuestion.Kind) throws {
    var own = options(.posixMinimal)
    own.calibration = 400
    own.omittedQuestions = kind
    let result = try Exploration(own).run().profiles[0]
    #expect(result.calibration?.isClean == false || result.contradictions > 0, "\(kind)")
    #expect(result.verdict != .held, "\(kind)")
  }

  @Test func aTreeTellsWhenTheSameAnswersLeadElsewhere() {
    var tree = ReadSetTree()
    _ = tree.add([.size(1), .size(2)], { _ in 7 }, 1)
    #expect(tree.find { _ in 7 }?.behaviour == 1)
    #expect(tree.find { $0 == .size(2) ? 8 : 7 } == nil)
    _ = tree.add([.size(1), .size(2)], { _ in 7 }, 1)
    #expect(tree.contradictions == 0)
    _ = tree.add([.size(1), .size(2)], { _ in 7 }, 2)
    #expect(tree.contradictions == 1)
    _ = tree.add([.size(1), .size(3)], { _ in 7 }, 1)
    #expect(tree.contradictions == 2)
  }
}

/// Before each sync it writes two sectors of a file that nobody reads, and never syncs it.
private final class NoteKeeper: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private var count: UInt8 = 0

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    count += 1
    let notes = try await base.open("notes", [.write, .create])
    let buffer = base.makeBuffer(capacity: 1024)
    for place in [0, 512] { buffer.mutableBytes(0..<1024)[place] = count }
    _ = try await base.write(notes, at: 0, from: buffer, 0..<1024, .volatile)
    await base.close(notes)
    try await super.sync(file, scope)
  }
}
