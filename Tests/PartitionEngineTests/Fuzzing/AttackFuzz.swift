import Glibc
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

@Suite struct AttackEngineFuzz {
  final class Box: @unchecked Sendable {
    var random: SeededGenerator
    init(_ seed: UInt64) { random = SeededGenerator(seed: seed, stream: "engine attack") }
  }
  final class State: @unchecked Sendable {
    var topics: Set<String> = []
    var maybeTopics: Set<String> = []
    var acked: [String: [Int64: String]] = [:]
    var start: [String: Int64] = [:]
    var maybeStart: [String: Int64] = [:]
    var offsets: [String: Int64] = [:]
    var maybeOffsets: [String: Set<Int64>] = [:]
    var refused: Set<String> = []
    var n = 0
    var flaws: [String] = []
  }

  static func check(_ engine: PartitionEngine, _ recovery: EngineRecovery, _ s: State, _ label: String) async {
    func flaw(_ text: String) { s.flaws.append("\(label): \(text)") }
    if !recovery.metadata.damage.isEmpty { flaw("metadata damage \(recovery.metadata.damage)") }
    for p in recovery.partitions where !p.damage.isEmpty { flaw("damage \(p.damage)") }
    let names = Set(engine.topics.map(\.name))
    if !s.topics.isSubset(of: names) || !names.isSubset(of: s.topics.union(s.maybeTopics)) {
      flaw("topics \(names) for \(s.topics) + \(s.maybeTopics)")
    }
    let response = FetchResponse()
    for name in names.sorted() {
      do throws(EngineError) {
        let committed = try engine.committedOffset(group: "g", name, 0)?.rawValue
        if committed != s.offsets[name], !(s.maybeOffsets[name]?.contains(committed ?? -1) ?? false) {
          flaw(
            "offset \(String(describing: committed)) for \(String(describing: s.offsets[name])) or "
              + "\(s.maybeOffsets[name] ?? [])"
          )
        }
        s.offsets[name] = committed
        s.maybeOffsets[name] = nil
        let marks = try engine.watermarks(name, 0)
        let own = s.start[name] ?? 0
        if marks.logStartOffset.rawValue < own || marks.logStartOffset.rawValue > max(own, s.maybeStart[name] ?? 0) {
          flaw("start \(marks.logStartOffset) for \(own)")
        }
        s.start[name] = marks.logStartOffset.rawValue
        var found: [Int64: String] = [:]
        var at = marks.logStartOffset
        while at < marks.highWatermark {
          try await engine.fetch(name, 0, from: at, maxBytes: 4096, into: response)
          response.forEachRecord { found[$0.offset.rawValue] = String(decoding: $0.value, as: UTF8.self) }
          at = response.nextOffset
        }
        for (offset, text) in s.acked[name] ?? [:]
        where offset >= marks.logStartOffset.rawValue && found[offset] != text {
          flaw("\(text) at \(offset): \(found[offset] ?? "-")")
        }
        for text in found.values where s.refused.contains(text) { flaw("\(text) was refused") }
      } catch { flaw("\(name): \(error)") }
    }
    s.topics = names
    s.maybeTopics = []
  }

  /// Errors of a life, before or after the operation took effect.
  private struct Errors {
    /// One operation in so many fails; 0: none.
    var rate: Int
    /// While the engine opens, too.
    var atOpening: Bool
    let box: Box

    func arm(_ storage: HookedStorage) {
      guard rate > 0 else { return }
      let (rate, atOpening, box) = (rate, atOpening, box)
      storage.before = { call throws(StorageError) in
        if [.read, .list, .size].contains(call.kind) && !atOpening { return }
        if call.kind == .open && call.flags == 0 && !atOpening { return }
        if box.random.chance(1, in: rate) { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      let changes: [OperationKind] = [.write, .unlink, .rename, .syncDirectory, .truncate]
      storage.after = { call throws(StorageError) in
        if changes.contains(call.kind), box.random.chance(1, in: rate) {
          throw StorageError(errno: EIO, call.kind, call.path)
        }
      }
    }

    func disarm(_ storage: HookedStorage) { (storage.before, storage.after) = (nil, nil) }
  }

  /// Opens the engine; errors end after ten attempts.
  private static func open(
    _ storage: HookedStorage, _ errors: Errors, _ s: State, _ label: String
  ) async -> (engine: PartitionEngine, recovery: EngineRecovery)? {
    if errors.atOpening { errors.arm(storage) }
    for attempt in 0..<20 {
      if attempt == 10 { errors.disarm(storage) }
      do throws(EngineError) {
        let opened = try await PartitionEngine.open(storage, EngineTests.configuration)
        errors.disarm(storage)
        return opened
      } catch {
        var isFlaw = false
        if case .damagedMetadata = error { isFlaw = storage.before == nil }
        if case .inUse = error { isFlaw = true }
        if isFlaw {
          s.flaws.append("\(label) \(error)")
          return nil
        }
      }
    }
    s.flaws.append("\(label) does not open")
    return nil
  }

  /// One random call, and what it was answered.
  private static func act(_ engine: PartitionEngine, _ s: State, _ box: Box) async {
    let name = "t\(Int.random(in: 0..<2, using: &box.random))"
    switch Int.random(in: 0..<12, using: &box.random) {
    case 0:
      guard !s.topics.contains(name) else { return }
      do throws(EngineError) {
        try await engine.createTopic(name, partitions: 1)
        s.topics.insert(name)
        s.acked[name] = [:]
      } catch { if !error.isCertainFailure { s.maybeTopics.insert(name) } }
    case 1: await move(engine, name, s, box)
    default:
      s.n += 1
      let text = "\(s.n)-" + String(repeating: "y", count: Int.random(in: 1...3000, using: &box.random))
      do {
        let offset = try await EngineTests.produce(engine, name, 0, text)
        s.acked[name, default: [:]][offset.rawValue] = text
      } catch {
        if (error as? EngineError)?.isCertainFailure ?? false { s.refused.insert(text) }
      }
    }
  }

  /// Deletes up to a random offset, or commits it.
  private static func move(_ engine: PartitionEngine, _ name: String, _ s: State, _ box: Box) async {
    do throws(EngineError) {
      let marks = try engine.watermarks(name, 0)
      let to = Int64.random(in: marks.logStartOffset.rawValue...marks.highWatermark.rawValue, using: &box.random)
      s.maybeStart[name] = max(s.maybeStart[name] ?? 0, to)
      if box.random.chance(1, in: 3) {
        try await engine.deleteRecords(name, 0, before: Offset(to))
        s.start[name] = max(to, s.start[name] ?? 0)
      } else {
        try await engine.commitOffset(group: "g", name, 0, Offset(to))
        s.offsets[name] = to
        s.maybeOffsets[name] = nil
      }
    } catch {
      if !error.isCertainFailure { s.maybeOffsets[name, default: []].formUnion(0...(s.maybeStart[name] ?? 0)) }
    }
  }

  /// 120 seeds; 360 with `TORNLOG_EXHAUSTIVE`.
  @Test(arguments: 0..<6)
  func metadataAndLogsSurvive(_ block: UInt64) throws {
    for seed in block * 60..<block * 60 + (getenv("TORNLOG_EXHAUSTIVE") == nil ? 20 : 60) {
      let machine = try Machine(.memory, seed: seed)
      let s = State()
      let box = Box(seed)
      for life in 0..<7 {
        let label = "\(seed)/\(life)"
        let rate = [0, 30, 100, 300][Int.random(in: 0..<4, using: &box.random)]
        let errors = Errors(rate: rate, atOpening: box.random.chance(1, in: 3), box: box)
        do {
          try machine.boot(seed: seed &+ UInt64(life)) { base in
            let storage = HookedStorage(base)
            guard let (engine, recovery) = await Self.open(storage, errors, s, label) else { return }
            await Self.check(engine, recovery, s, label)
            if !s.flaws.isEmpty { return }
            errors.arm(storage)
            for _ in 0..<Int.random(in: 0..<50, using: &box.random) { await Self.act(engine, s, box) }
            if box.random.chance(1, in: 3) { do throws(EngineError) { try await engine.close() } catch {} }
          }
        } catch { s.flaws.append("\(label): \(error)") }
        if box.random.chance(1, in: 2) {
          _ = machine.disk.powerLoss(seed: seed, profile: box.random.chance(1, in: 2) ? .dropUnsynced : .posixMinimal)
        } else {
          _ = machine.disk.processKill(seed: seed)
        }
        if !s.flaws.isEmpty { break }
      }
      #expect(s.flaws.isEmpty, "\(s.flaws.prefix(3).map { String($0.prefix(250)) })")
    }
  }
}
