import Defects
import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import TriggeredStorage
import WriteAheadLog

@testable import PartitionEngine

/// Power losses at every operation of a workload with checkpoints, and at every operation of the recovery after it.
@Suite struct CheckpointCrashTests {
  private typealias H = ArchiveHarness

  /// What producers were told. Touched on one loop.
  final class Answers: @unchecked Sendable {
    var acknowledged = 0
    var attempted = 0
    var archived: Offset = 0
    var wasCut = false
  }

  /// How an engine is put together for a test; the controls change it.
  struct Assembly: Sendable {
    var policy = SyncPolicy.always
    var parts = CheckpointParts()
    /// Puts something between the store and what the store is kept on, and around the store.
    var medium: @Sendable (any Storage) -> any Storage = { $0 }
    var store: @Sendable (any ObjectStore, EventLoop) -> any ObjectStore = { store, _ in store }

    var configuration: EngineConfiguration {
      H.configured(policy) { $0.checkpoints.retention = nil }
    }

    func open(_ storage: any Storage) async throws(EngineError) -> (engine: PartitionEngine, recovery: EngineRecovery) {
      try await H.open(storage, configuration, store: store(DirectoryObjectStore(medium(storage)), storage.loop), parts)
    }
  }

  /// Messages in four rounds, a checkpoint after each while the next round is being sent.
  private static func workload(_ engine: PartitionEngine, _ loop: EventLoop, _ answers: Answers) async {
    let done = AsyncEvent()
    do {
      try await engine.createTopic("orders", partitions: 1)
      for round in 0..<4 {
        if round > 0 {
          done.shut()
          loop.spawn {
            // What fails here is the background's business: nobody waits for it.
            do throws(EngineError) { try await engine.checkpoint() } catch {}
            done.open()
          }
        }
        for n in round * 8..<round * 8 + 8 {
          answers.attempted = n + 1
          _ = try await EngineTests.produce(engine, "orders", 0, H.message(n))
          answers.acknowledged = n + 1
        }
        if round > 0 { await done.wait() }
        answers.archived = try engine.archivedEnd("orders", 0) ?? 0
      }
      try await engine.checkpoint()
      answers.archived = try engine.archivedEnd("orders", 0) ?? 0
    } catch {}
    try? await engine.close()
  }

  /// The first life, with power lost at operation `n` of the machine.
  /// - Returns: nil where it ended before.
  static func firstLife(_ assembly: Assembly, at n: Int) throws -> (machine: Machine, answers: Answers)? {
    let machine = try Machine(.memory, seed: UInt64(n))
    let disk = machine.disk
    let answers = Answers()
    try machine.boot(seed: UInt64(n)) { base in
      let storage = TriggeredStorage(base)
      storage.arm(CrashTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
        answers.wasCut = true
        _ = disk.powerLoss(seed: UInt64(n), profile: n % 2 == 0 ? .dropUnsynced : .posixMinimal)
      }
      do throws(EngineError) { await workload(try await assembly.open(storage).engine, storage.loop, answers) } catch {}
    }
    return answers.wasCut ? (machine, answers) : nil
  }

  /// What is wrong after the crash: in the life after it, and in the one after that.
  static func flaws(_ machine: Machine, _ answers: Answers, _ assembly: Assembly) throws -> [String] {
    let before = try machine.boot(seed: 77) { storage -> (flaws: [String], count: Int) in
      let (engine, recovery) = try await assembly.open(storage)
      if !engine.topics.contains(where: { $0.name == "orders" }) {
        try await engine.createTopic("orders", partitions: 1)
      }
      var flaws = recovery.partitions.flatMap(\.damage).map { "a crash is not damage: \($0)" }
      let found = try await H.numbers(engine)
      let least = assembly.policy == .always ? answers.acknowledged : Int(answers.archived.rawValue)
      if found != Array(0..<found.count) || found.count < least || found.count > answers.attempted {
        flaws.append("\(found) of \(answers.acknowledged) acknowledged, \(answers.attempted) sent")
      }
      flaws += await H.flawsOfEveryOffset(engine, count: found.count)
      // A second life, which goes on, and whose checkpoints go on.
      for n in found.count..<found.count + 6 { _ = try await EngineTests.produce(engine, "orders", 0, H.message(n)) }
      try await engine.checkpoint()
      try await engine.close()
      return (flaws, found.count)
    }
    let after = try machine.boot(seed: 78) { storage -> [String] in
      let (engine, recovery) = try await assembly.open(storage)
      var flaws = recovery.partitions.flatMap(\.damage).map { "damaged in the third life: \($0)" }
      let found = try await H.numbers(engine)
      if found != Array(0..<before.count + 6) {
        flaws.append("third life: \(found), \(before.count) were there before 6 more")
      }
      if try engine.segmentBases("orders", 0).count > 1 { flaws.append("files that are archived are still there") }
      try await engine.close()
      return flaws
    }
    return before.flaws + after
  }

  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(5)), .never])
  func nothingIsLostOrDoubledWhereverPowerGoes(_ policy: SyncPolicy) throws {
    let assembly = Assembly(policy: policy)
    var points = 0
    var inCheckpoints = 0
    for n in 1... {
      guard let (machine, answers) = try Self.firstLife(assembly, at: n) else { break }
      points += 1
      if !H.objects(machine.disk).isEmpty { inCheckpoints += 1 }
      #expect(try Self.flaws(machine, answers, assembly) == [], "power lost at \(n)")
    }
    #expect(points > 250 && inCheckpoints > 120)
    print("checkpoints under \(policy): \(points) crash points, \(inCheckpoints) with an object in the store")
  }

  /// A power loss at every operation of the recovery ends where the first recovery would have.
  @Test func recoveryIsRepeatable() throws {
    let assembly = Assembly()
    var nested = 0
    for n in stride(from: 60, through: 600, by: 80) {
      for m in 1... {
        guard let (machine, answers) = try Self.firstLife(assembly, at: n) else { break }
        let disk = machine.disk
        let cut = Answers()
        try machine.boot(seed: 5) { base in
          let storage = TriggeredStorage(base)
          storage.arm(CrashTrigger([], .occurrence(m), .submission)) { _ throws(StorageError) in
            cut.wasCut = true
            _ = disk.powerLoss(seed: UInt64(n + m), profile: .posixMinimal)
          }
          do throws(EngineError) {
            let (engine, _) = try await assembly.open(storage)
            try await engine.checkpoint()
            try await engine.close()
          } catch {}
        }
        guard cut.wasCut else { break }
        nested += 1
        #expect(try Self.flaws(machine, answers, assembly) == [], "power lost at \(n), then at \(m) of the recovery")
      }
    }
    #expect(nested > 500)
    print("checkpoints: \(nested) nested crash points")
  }

  // MARK: Controls

  /// Each of these is a mistake that the tests above must notice.
  enum Mistake: String, CaseIterable, Sendable {
    /// Nothing that the store writes is synced.
    case syncDropped
    /// The log is cut before its piece has got to the store.
    case cutFirst
    /// What failed to get there counts as there.
    case errorSwallowed
    case H5, H8
  }

  static func assembly(_ mistake: Mistake) -> Assembly {
    var assembly = Assembly()
    switch mistake {
    case .syncDropped: assembly.medium = { Unsynced($0) }
    case .cutFirst: assembly.store = { Deferring($0, $1, swallows: false) }
    case .errorSwallowed:
      assembly.store = { store, loop in
        Deferring(
          FaultyObjectStore(store, plan: [PlannedObjectFault(.refusal, on: .put, occurrence: 3)], loop: loop), loop,
          swallows: true)
      }
    case .H5, .H8:
      assembly.parts = Defect(id: mistake.rawValue)?.parts().checkpoints ?? assembly.parts
    }
    return assembly
  }

  @Test(arguments: Mistake.allCases)
  func aMistakeIsNoticed(_ mistake: Mistake) throws {
    let assembly = Self.assembly(mistake)
    var noticed = 0
    var points = 0
    for n in stride(from: 1, to: 2000, by: 4) {
      guard let (machine, answers) = try Self.firstLife(assembly, at: n) else { break }
      points += 1
      // The lives after the crash are sound, but for what is wrong with recovery itself.
      var later = Assembly()
      later.parts.leftovers = assembly.parts.leftovers
      if try !Self.flaws(machine, answers, later).isEmpty { noticed += 1 }
    }
    #expect(noticed > 0, "none of \(points) crash points shows it")
    print("mistake \(mistake.rawValue): noticed at \(noticed) of \(points) crash points")
  }

  final class Unsynced: StorageWrapper, @unchecked Sendable {
    override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {}
    override func syncDirectory(_ path: String) async throws(StorageError) {}
  }

  /// Answers at once, does it a little later, and reads back what it was given.
  final class Deferring: ObjectStore, @unchecked Sendable {
    // Owned by `loop`.
    private let base: any ObjectStore
    private let loop: EventLoop
    private let swallows: Bool
    private var given: [ObjectName: [UInt8]] = [:]

    init(_ base: any ObjectStore, _ loop: EventLoop, swallows: Bool) {
      (self.base, self.loop, self.swallows) = (base, loop, swallows)
    }

    func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
      given[name] = bytes
      if swallows {
        do throws(ObjectStoreError) { try await base.put(name, bytes) } catch {}
        return
      }
      loop.spawn { [self] in
        await loop.sleep(until: loop.now + .milliseconds(3))
        do throws(ObjectStoreError) { try await base.put(name, bytes) } catch {}
      }
    }

    func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
      if let bytes = given[name] { return bytes }
      return try await base.get(name)
    }

    func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
      try await base.list(source)
    }
    func delete(_ name: ObjectName) async throws(ObjectStoreError) { try await base.delete(name) }
  }
}
