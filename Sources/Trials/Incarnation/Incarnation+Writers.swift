import EngineAdapter
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// The engine that serves once two writers have written.
struct NewestWriter: Sendable {
  var log: TestedLog
  /// Nil where it is the first writer's, which found nothing to recover.
  var recovery: RecoverySummary?
  /// That had been submitted when it reported its recovery; nil for all.
  var operationsBefore: Int?
}

/// The first life with two writers.
extension Incarnation {
  /// Written by the tasks of one loop, read after them.
  private final class Course: @unchecked Sendable {
    var receipt: WriterReceipt?
    var newest: NewestWriter?
    var failure: TrialError?
  }

  /// Sends the workload by `log`, and a second one's by a second writer that comes while it is at work.
  /// - Parameter process: for a second writer in a process of its own; nil where there can be none.
  /// - Returns: the engine that serves now, and what became of the second writer.
  func produceBesideSecond(
    _ log: TestedLog, _ process: SecondProcess?
  ) async throws(TrialError) -> (newest: NewestWriter, receipt: WriterReceipt) {
    guard let second else { throw .contradiction(.noSecondWriter) }
    let course = Course()
    let loop = storage.loop
    await withTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: loop) { await produce(Workload(spec), log) { _ in } }
      group.addTask(executorPreference: loop) {
        do throws(TrialError) {
          if spec.writers == .holderLives {
            await besiege(second, course)
          } else if spec.writers == .secondProcess {
            try await letProcessWrite(second, process, course)
          } else {
            await letEngineWrite(second, course)
          }
        } catch {
          course.failure = error
        }
        second.goOn()
        second.settle()
      }
    }
    if let failure = course.failure { throw failure }
    course.receipt?.hindered = second.link?.hindered ?? 0
    guard let receipt = course.receipt else { throw .secondWriter(.noReceipt) }
    guard receipt.openedAt != nil else { return (NewestWriter(log: log), receipt) }
    // A writer that has been replaced may well close in order, or go down with the machine.
    let closes = spec.writers == .secondProcess || spec.crash == .none || spec.seed % 2 == 0
    if closes { _ = await close(log) }  // refused, as it has been replaced
    if let newest = course.newest { return (newest, receipt) }
    do throws(LogFailure) {
      let (log, recovery) = try await EngineFactory(storage, configuration, parts: parts).open()
      joined(log)
      return (NewestWriter(log: log, recovery: recovery), receipt)
    } catch {
      throw .secondWriter(.noneOpens(reason: "\(error)"))
    }
  }

  private func letEngineWrite(_ second: SecondWriter, _ course: Course) async {
    let began: Instant
    do throws(StorageError) {
      try await second.approach(storage)
      began = storage.loop.now
    } catch {
      course.receipt = WriterReceipt(setup: spec.writers, triedAt: storage.loop.now, refusal: "\(error)")
      return
    }
    course.receipt = WriterReceipt(setup: spec.writers, triedAt: began)
    do throws(LogFailure) {
      let (log, recovery) = try await EngineFactory(storage, configuration, parts: second.partsOfSecond(parts)).open()
      joined(log)
      course.newest = NewestWriter(log: log, recovery: recovery, operationsBefore: journal.operationCount)
      course.receipt?.openedAt = storage.loop.now
      second.goOn()
      await Workload(secondWriterOf: spec).run(on: log, loop: storage.loop, journal: journal) { _ in second.settle() }
    } catch {
      course.receipt?.refusal = "\(error)"
    }
  }

  /// A second engine tries to take the lease for more than three terms, while the first one is well and waits. Where it
  /// gets in, it writes.
  private func besiege(_ second: SecondWriter, _ course: Course) async {
    do throws(StorageError) { try await second.approach(storage) } catch {
      course.receipt = WriterReceipt(setup: spec.writers, triedAt: storage.loop.now, refusal: "\(error)")
      return
    }
    let end = storage.loop.now + SecondWriter.siege
    course.receipt = WriterReceipt(setup: spec.writers, triedAt: storage.loop.now)
    while storage.loop.now < end {
      do throws(LogFailure) {
        let (log, recovery) = try await EngineFactory(storage, configuration, parts: second.partsOfSecond(parts)).open()
        joined(log)
        course.newest = NewestWriter(log: log, recovery: recovery, operationsBefore: journal.operationCount)
        course.receipt?.openedAt = storage.loop.now
        course.receipt?.refusal = nil
        return await Workload(secondWriterOf: spec).run(on: log, loop: storage.loop, journal: journal) { _ in
          second.settle()
        }
      } catch {
        course.receipt?.refusal = "\(error)"
        if error.kind == .inUse { course.receipt?.attemptsRefused += 1 }
      }
      await storage.loop.sleep(until: storage.loop.now + SecondWriter.lease / 4)
    }
  }

  private func letProcessWrite(_ second: SecondWriter, _ process: SecondProcess?, _ course: Course)
    async throws(TrialError)
  {
    guard let process else { throw .contradiction(.processNeedsFiles) }
    do throws(StorageError) { try await second.approach(storage) } catch { throw .directory(error) }
    course.receipt = try await process.perform(beside: storage.loop, journal)
  }

  /// In the second process: all that the second writer does.
  func writeAlone() async -> WriterReceipt {
    let loop = storage.loop
    var receipt = WriterReceipt(setup: spec.writers, triedAt: loop.now)
    do throws(LogFailure) {
      let (log, _) = try await EngineFactory(storage, configuration, parts: parts).open()
      receipt.openedAt = loop.now
      for number in 0..<spec.partitions {
        journal.answer(journal.create(PartitionID(number), at: loop.now), .acknowledged, at: loop.now)
      }
      await Workload(secondWriterOf: spec).run(on: log, loop: loop, journal: journal) { _ in }
      _ = await close(log)
    } catch {
      receipt.refusal = "\(error)"
    }
    return receipt
  }
}
