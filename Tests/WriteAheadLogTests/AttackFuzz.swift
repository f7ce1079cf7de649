import Glibc
import LogModel
import Storage
import Testing

@testable import WriteAheadLog

/// Random I/O errors (before or after the operation took effect), crashes, policy changes and deletions.
@Suite struct AttackFuzz {
  final class State: @unchecked Sendable {
    var acked: [Int64: Int] = [:]  // offset: message
    var refused: Set<Int> = []
    var next = 0
    var start: Offset = 0
    var flaws: [String] = []
  }

  static func check(_ log: PartitionLog, _ state: State, _ label: String) async {
    let content = MessageContent(seed: 1, topic: "orders", partition: 0)
    let response = FetchResponse()
    var seen: [Int: Int64] = [:]
    var at = log.logStartOffset
    while at < log.highWatermark {
      do throws(LogError) {
        try await log.fetch(from: at, maxBytes: 4096, into: response)
        var first: Offset?
        response.forEachRecord { record in
          first = first ?? record.offset
          guard case .intact(let n) = content.read(record.value) else {
            state.flaws.append("\(label): wrong bytes at \(record.offset)"); return
          }
          let m = Int(n)
          if let other = seen[m] { state.flaws.append("\(label): \(m) at \(other) and \(record.offset)") }
          seen[m] = record.offset.rawValue
          if state.refused.contains(m) { state.flaws.append("\(label): refused \(m) is served at \(record.offset)") }
          if let own = state.acked[record.offset.rawValue], own != m {
            state.flaws.append("\(label): \(m) at \(record.offset) instead of \(own)")
          }
        }
        if first != at { state.flaws.append("\(label): fetch from \(at) begins at \(String(describing: first))") }
        guard response.nextOffset > at else { state.flaws.append("\(label): no progress at \(at)"); return }
        at = response.nextOffset
      } catch {
        state.flaws.append("\(label): fetch \(at): \(error)")
        return
      }
    }
    for (offset, m) in state.acked where Offset(offset) >= max(state.start, log.logStartOffset) && seen[m] != offset {
      state.flaws.append(
        "\(label): acked \(m) at \(offset) is at \(String(describing: seen[m])), log "
          + "\(log.logStartOffset)..<\(log.highWatermark)"
      )
    }
  }

  /// One life of the log: producers, readers beside them, errors.
  private struct FuzzedLife {
    var label: String
    var harness: LogHarness
    let state: State
    /// One operation in so many fails; 0: none.
    var rate: Int
    var latency: MemoryLatency
    var operations: Int
    var seed: UInt64
    var closes: Bool

    func run(at start: Int64) throws {
      let hints = RecoveryHints(logStartOffset: state.start)
      try AttackLogTests.live(harness, at: start, latency: latency, hints: hints) { log, report, storage in
        if !report.damage.isEmpty { state.flaws.append("\(label): damage \(report.damage)") }
        await AttackFuzz.check(log, state, "\(label) open")
        if rate > 0 { arm(storage) }
        await withTaskGroup(of: Void.self) { group in
          for producer in 0..<3 {
            group.addTask(executorPreference: storage.loop) { await produce(log, storage.loop, producer) }
          }
          group.addTask(executorPreference: storage.loop) {
            for _ in 0..<6 {
              await storage.loop.sleep(until: storage.loop.now + .microseconds(700))
              await AttackFuzz.check2(log, state, "\(label) live")
            }
          }
        }
        await AttackFuzz.check2(log, state, "\(label) end")
        guard closes else { return }
        do throws(StorageError) { try await log.close() } catch {}
        if storage.open != 0 { state.flaws.append("\(label): \(storage.open) handles") }
      }
    }

    private func arm(_ storage: HookedStorage) {
      let (box, rate) = (Box(seed), rate)
      storage.hook = { call throws(StorageError) in
        switch call.kind {
        case .write, .sync, .syncDirectory, .open, .unlink, .linkCount:
          if call.kind == .open, call.flags == 0 { return }
          if box.random.chance(1, in: rate) {
            let errors = [EIO, ENOSPC, EAGAIN, EINTR]
            throw StorageError(errno: errors[Int.random(in: 0..<4, using: &box.random)], call.kind, call.path)
          }
        default: break
        }
      }
      storage.afterHook = { call throws(StorageError) in
        switch call.kind {
        case .write, .unlink, .syncDirectory:
          if box.random.chance(1, in: rate) { throw StorageError(errno: EIO, call.kind, call.path) }
        default: break
        }
      }
    }

    private func produce(_ log: PartitionLog, _ loop: EventLoop, _ producer: Int) async {
      let own = Box(seed &+ UInt64(producer) &+ 77)
      for _ in 0..<operations / 3 {
        let count = Int.random(in: 1...4, using: &own.random)
        let first = state.next
        state.next += count
        let size = [40, 200, 1000, 2900][Int.random(in: 0..<4, using: &own.random)]
        do throws(LogError) {
          let bytes = (first..<(first + count)).map { LogHarness.payload($0, size: size) }
          let base = try await log.append(recordCount: count, payloadBytes: count * size) { writer in
            for one in bytes { one.withUnsafeBytes { writer.append(value: $0) } }
          }
          for k in 0..<count { state.acked[base.rawValue + Int64(k)] = first + k }
          if own.random.chance(1, in: 40) {
            state.start = max(state.start, base)
            do throws(StorageError) { try await log.removeSegments(before: base) } catch {}
          }
        } catch {
          if error.isCertainFailure { for k in 0..<count { state.refused.insert(first + k) } }
        }
        if own.random.chance(1, in: 8) {
          await loop.sleep(until: loop.now + .milliseconds(Int64.random(in: 1...8, using: &own.random)))
        }
      }
    }
  }

  /// 400 seeds; 1200 with `TORNLOG_EXHAUSTIVE`.
  @Test(arguments: 0..<8)
  func everythingAcknowledgedSurvives(_ block: UInt64) throws {
    for seed in block * 150..<block * 150 + (getenv("TORNLOG_EXHAUSTIVE") == nil ? 50 : 150) {
      var random = SeededGenerator(seed: seed, stream: "attack")
      let always = random.chance(1, in: 2)
      var harness = LogHarness(seed: seed)
      let state = State()
      // 0: no recent batches; 1: recent, latencies of a disk; 2: recent, some lives without latency
      let mode = Int(seed % 3)
      if mode == 0 { harness.configuration.recentBytes = 0 }
      for number in 0..<4 {
        let policies: [SyncPolicy] = always ? [.always] : [.always, .interval(.milliseconds(5)), .never]
        harness.configuration.syncPolicy = policies[Int.random(in: 0..<policies.count, using: &random)]
        let rate = [0, 15, 40, 150][Int.random(in: 0..<4, using: &random)]
        let isZero = random.chance(1, in: 3) && mode != 1
        let operations = Int.random(in: 5...80, using: &random)
        let life = FuzzedLife(
          label: "\(seed)/\(number)", harness: harness, state: state, rate: rate, latency: isZero ? .zero : .disk,
          operations: operations, seed: random.next(), closes: random.chance(1, in: 3))
        do { try life.run(at: Int64(number * 2) << 40) } catch { state.flaws.append("\(seed)/\(number): \(error)") }
        if always && random.chance(1, in: 2) {
          _ = harness.disk.powerLoss(seed: seed, profile: random.chance(1, in: 2) ? .dropUnsynced : .posixMinimal)
        } else {
          _ = harness.disk.processKill(seed: seed)
        }
        if !state.flaws.isEmpty { break }
      }
      #expect(state.flaws.isEmpty, "mode \(mode) \(always) \(state.flaws.prefix(3))")
    }
  }

  final class Box: @unchecked Sendable {
    var random: SeededGenerator
    init(_ seed: UInt64) { random = SeededGenerator(seed: seed, stream: "box") }
  }

  /// One fetch from each of a few acknowledged offsets.
  static func check2(_ log: PartitionLog, _ state: State, _ label: String) async {
    let content = MessageContent(seed: 1, topic: "orders", partition: 0)
    let response = FetchResponse()
    for (offset, m) in state.acked.sorted(by: { $0.key < $1.key })
    where offset % 3 == 0 && Offset(offset) >= log.logStartOffset {
      do throws(LogError) {
        try await log.fetch(from: Offset(offset), maxBytes: 1, into: response)
        var first: Int?
        response.forEachRecord { record in
          if first == nil, record.offset == Offset(offset), case .intact(let n) = content.read(record.value) {
            first = Int(n)
          }
        }
        if first != m { state.flaws.append("\(label): at \(offset) \(String(describing: first)), not \(m)") }
      } catch {
        if case .offsetOutOfRange = error { continue }
        if case .storage = error { continue }
        state.flaws.append("\(label): at \(offset) \(error)")
      }
    }
  }
}
