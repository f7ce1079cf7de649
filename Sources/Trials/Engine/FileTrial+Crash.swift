import FaultInjection
import Glibc
import LogModel
import Reporting
import Storage
import Verification

/// The trial's crash, which ends the process of a life.
extension FileTrial {
  /// Ends this process. What the receipt says is on disk before.
  func crash(_ own: Incarnation, _ rig: Rig, _ journal: Journal, _ notes: Notes, inFlight: Bool) {
    // After a failure of the machine, a full disk or no more descriptors, there is nothing left to learn from a crash.
    guard !rig.monitor.isHindered, keepCounts(own, notes), keepCensus(rig, notes) else { return }
    rig.storage.note(.fault("\(own.ending.rawValue)"))
    rig.faults.delays.noteInFlight()
    if let power = rig.power {
      power.freeze()
      journal.freeze(own.ending, at: rig.loop.now)
      guard keep(notes.readback, notes) else { return }
      rig.loop.spawn {
        journal.stage = .harness
        do throws(StorageError) {
          let receipt = try await power.cutPower(
            seed: mix64(spec.seed &+ UInt64(life)), profile: spec.profile(life: life))
          die(Receipt(receipt), journal, notes)
        } catch {
          notes.reply.failure = "the power cut could not be carried out: \(error)"
        }
      }
      return
    }
    if own.ending == .outOfMemory {
      let shortage: MemoryExhaustion
      do throws(TrialError) {
        shortage = try MemoryExhaustion(patience: inFlight ? MemoryExhaustion.patience : .zero)
      } catch {
        return notes.fail(error)
      }
      let receipt = Receipt(
        kind: own.ending.rawValue, fired: 1,
        places: ["process \(getpid()), life \(life): no more than the \(shortage.limit >> 20) MiB that it had mapped"])
      do throws(TrialError) { try JSONFile.write(receipt, to: folder.receipt(life)) } catch { return notes.fail(error) }
      guard inFlight || keep(notes.readback, notes) else { return }
      notes.isDying = true
      journal.markKill(at: rig.loop.now)
      let slack = inFlight ? Int(mix64(spec.seed &+ UInt64(life)) % 1000) : 0
      do throws(TrialError) { try shortage.begin(slack: slack) } catch { notes.fail(error) }
      return
    }
    let receipt = Receipt(kind: own.ending.rawValue, fired: 1, places: ["SIGKILL to process \(getpid()), life \(life)"])
    guard inFlight else {
      if keep(notes.readback, notes) { die(receipt, journal, notes) }
      return
    }
    // The process dies while its storage is at work: the signal comes from another thread.
    do throws(TrialError) {
      let killer = try AimedKill(journal, delay: AimedKill.delay(spec.seed, life: life))
      try JSONFile.write(receipt, to: folder.receipt(life))
      notes.isDying = true
      rig.monitor.holdsCompletions = true
      killer.release()
    } catch {
      notes.fail(error)
    }
  }

  private func die(_ receipt: Receipt, _ journal: Journal, _ notes: Notes) {
    do throws(TrialError) {
      try JSONFile.write(receipt, to: folder.receipt(life))
      notes.isDying = true
      AimedKill.kill(journal)
    } catch {
      notes.fail(error)
    }
  }
}
