import EngineAdapter
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// What a life does besides sending: commits of offsets, deletions, what is brought to the object store.
extension Incarnation {
  /// Deletes what the trial wants deleted of each partition.
  func deleteRecords(_ log: TestedLog) async {
    guard spec.deletion != .none else { return }
    begin("delete")
    journal.stage = .producing
    defer { journal.stage = .harness }
    await delete(log)
  }

  func delete(_ log: TestedLog) async {
    for number in 0..<spec.partitions {
      let source = spec.source(of: number)
      let marks: (logStartOffset: Offset, highWatermark: Offset)
      // Nothing was asked of it that it could forget; the readback that follows finds the partition missing.
      do throws(LogFailure) {
        let found = try log.watermarks(source)
        marks = (found.logStartOffset, found.highWatermark)
      } catch { continue }
      guard let bound = spec.deletion.bound(from: marks.logStartOffset, to: marks.highWatermark) else { continue }
      let row = journal.trim(PartitionID(number), before: bound, at: loop.now)
      do throws(LogFailure) {
        try await log.deleteRecords(source, before: bound)
        journal.answer(row, .acknowledged, at: loop.now)
      } catch {
        journal.answer(row, error.isCertain ? .failed : .indeterminate, at: loop.now)
      }
    }
  }

  /// The whole workload, and the commits of offsets.
  /// - Returns: why not everything was brought to the object store, where the trial wants that.
  func work(_ log: TestedLog) async -> FlushFailure? {
    let workload = Workload(spec)
    guard commitsBeforeTheTail else {
      await produce(workload, log) { _ in }
      let failure = await flush(log)
      await deleteRecords(log)
      await commitOffsets(log)
      return failure
    }
    let tail = max(0, workload.requests - spec.partitions)
    await produce(workload.sending(0..<tail), log) { _ in }
    await deleteRecords(log)
    await commitOffsets(log)
    await produce(workload.sending(tail..<workload.requests), log) { _ in }
    return await flush(log)
  }

  /// A commit of an offset syncs the log: what nobody but the close can make durable is sent after it, a request to
  /// each partition.
  private var commitsBeforeTheTail: Bool {
    guard case .interval = spec.syncPolicy else { return false }
    return !spec.ending(of: number).isAbrupt
  }

  /// Commits an offset of a consumer group in each partition: half of what may be consumed.
  func commitOffsets(_ log: TestedLog) async {
    begin("commit")
    for number in 0..<spec.partitions {
      let source = spec.source(of: number)
      let offset: Offset
      do throws(LogFailure) {
        let marks = try log.watermarks(source)
        offset = marks.logStartOffset + (marks.highWatermark - marks.logStartOffset) / 2
      } catch {
        // Nothing was asked of it that it could forget; the readback that follows finds the partition missing.
        continue
      }
      let row = journal.commit(PartitionID(number), offset, at: loop.now)
      do throws(LogFailure) {
        try await log.commit(offset, group: Self.group, source)
        journal.answer(row, .acknowledged, at: loop.now)
      } catch {
        journal.answer(row, error.isCertain ? .failed : .indeterminate, at: loop.now)
      }
    }
  }

  /// After one request in four its producer commits all that may be consumed, for its group. So several groups commit
  /// at once, while others send, in each life that sends.
  func commit(after k: Int, for group: Int, _ partition: PartitionID, _ log: TestedLog) async {
    let draw = mix64(spec.seed ^ mix64(UInt64(k) &+ 1))
    guard draw & 3 == 0 else { return }
    let source = spec.source(of: partition.index)
    do throws(LogFailure) {
      let offset = try log.watermarks(source).highWatermark
      let row = journal.commit(partition, offset, group: group, at: loop.now)
      do throws(LogFailure) {
        try await log.commit(offset, group: Self.name(ofGroup: group), source)
        journal.answer(row, .acknowledged, at: loop.now)
      } catch {
        journal.answer(row, error.isCertain ? .failed : .indeterminate, at: loop.now)
      }
    } catch {}  // nothing was asked of it that it could forget
  }

  static func name(ofGroup number: Int) -> String { number == 0 ? group : "\(group)-\(number)" }

  /// Brings everything to the object store, where the trial wants that. Where a fault has kept the engine from it, it
  /// is asked again, as `open` does, and the fault is lifted in the end. Where the machine is too slow for the time-out
  /// that it has, it is asked again too: that is nobody's failure.
  /// - Returns: why it has not got there; nil where it has.
  func flush(_ log: TestedLog) async -> FlushFailure? {
    guard spec.checkpoint == .flushed else { return nil }
    begin("flush")
    let row = journal.flush(at: loop.now)
    journal.stage = .producing
    defer { journal.stage = .harness }
    for attempt in 1... {
      let (fired, slow) = (faults.firings, faults.slowStoreCalls)
      do throws(LogFailure) {
        try await log.checkpoint()
        archive.note(log)
        journal.answer(row, .acknowledged, at: loop.now)
        return nil
      } catch {
        if !faults.stoodInTheWay(since: fired) {
          if faults.slowStoreCalls > slow, attempt < Self.slowAttempts { continue }
          journal.answer(row, .failed, at: loop.now)
          return FlushFailure(life: number, reason: "\(error)")
        }
      }
      if attempt >= Self.openings { faults.lift() }
    }
    preconditionFailure("an endless loop has ended")
  }
}
