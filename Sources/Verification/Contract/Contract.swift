import LogModel

// What a configuration promises, and what an acknowledged operation is owed after each crash.
//
// Every operation that may be there carries a *promise*, moved along from its incarnation to the readback:
//
//   durable           on the medium: owed to every later readback
//   volatile(since)   in the page cache since that instant: owed until the next power loss
//   none              owed nothing: an operation never acknowledged, or one a power loss was allowed to take
//
// | event                          | always        | interval(d)                        | never           |
// |--------------------------------|---------------|------------------------------------|-----------------|
// | acknowledged at t              | durable       | volatile(t)                        | volatile(never) |
// | incarnation ran d after since  | -             | volatile -> durable                | -               |
// | closed in order                | unchanged     | volatile -> durable (note 1)       | unchanged       |
// | archived                       | unchanged     | volatile -> durable (note 6)       | -> durable (6)  |
// | process kill, reopened at o    | unchanged     | volatile(since) -> volatile(o)     | unchanged       |
// | power loss                     | unchanged     | volatile -> none                   | volatile -> none|
// | power loss after an orderly    | unchanged     | volatile -> durable (note 1)       | volatile -> none|
// |   close                        |               |                                    |                 |
// | served by a readback, power    | durable       | durable (note 2)                   | durable         |
// |   loss since it was written    |               |                                    |                 |
// | served by a readback otherwise | durable (3)   | volatile(o) if none                | volatile(never) |
// | served to a consumer at t,     | durable       | volatile(t) if none                | volatile(never) |
// |   while messages are sent      |               | (note 7)                           |                 |
// | missing from a readback, none  | settled: it must not come back (note 4)                              |
//
// Where the policy of a later incarnation is another, each line is that of the incarnation in which it happens. What an
// engine under `always` opens after a kill, or after a close that has synced nothing, is durable from then on.
//
// "Ran d": crash.instant - since >= d, so an operation acknowledged exactly d before the crash is protected and
// one acknowledged a nanosecond later is not (but see note 5). A process kill's instant is that of the kill: the time
// until the engine was opened again is not the engine's.
//
// 1. After an orderly close nobody is left to sync the tail, so the promise about the idle tail makes close sync: once
//    it has returned without an error the window is empty. A close that returns an error has promised nothing, and the
//    power loss behind it is one like any other.
// 2. A log recovered after a power loss consists of what was read from the medium: it survives later crashes too.
// 3. Under `always` what can be fetched is durable, from the first readback of its own life on, acknowledged or not;
//    under the other policies what a readback has served stays for as long as that life lasts. After a process kill
//    recovery finds pages that may still be volatile, so it has to sync what it keeps before it serves it. Under
//    `interval` it has d from the reopening on (the dead time is not the engine's: a kill restarts the clock, unless d
//    had already run); under `never` nothing.
// 4. What recovery has cut off stays cut off: stale bytes behind the tail must never be accepted again, whatever a
//    fault does to what has their offsets by then. What was skipped as damaged may be read again.
// 5. `interval(d)` presumes a device that completes each operation within d/2, which leaves the engine time to sync
//    once more. Where the device took longer for one operation of the incarnation that the crash ended, d is longer by
//    twice the excess, for what was acknowledged before that operation ended: what is acknowledged while a sync is in
//    flight waits for that one, and then for its own. Only what the device took counts, not what the engine's own
//    computing added, and not what it took in other incarnations.
// 6. "Archived" is the engine's own word that everything before an offset is in the object store, which a power loss
//    does not take anything from. From then on damage to the log excuses nothing of it either: it is served from the
//    store. What was damaged before the engine said so may be missing there, and stays excused.
// 7. A consumer acts on what it is served, as a producer does on an acknowledgement: so each policy promises of a
//    message to whoever was served it, while others send, what it promises to its sender at that moment, whether or not
//    that one has been answered. Under `always` a message that is shown is on the medium; under `interval(d)` it goes
//    with a power loss in the next d at the most, under `never` with any; no process kill takes it. Nothing is shown
//    from the high watermark on that the consumer is told with the answer, no answer leaves out an offset that damage
//    or a deletion has not taken, no offset of one life names two messages, and neither high watermark nor log start
//    offset goes back within a life. An error is no answer.
//
// Process kill therefore never loses anything acknowledged, under any policy. A loss that is allowed is a suffix
// of the partition: nothing of the same incarnation, or of one before the loss, stands behind a lost operation.
// Acknowledged topics and committed consumer offsets are durable, whatever the policy for messages.
//
// So is a deletion: a log begins where the last one has put it, after any crash. What is deleted is owed to nobody, and
// must not come back (PartitionChecker+LogStart.swift). Of a deletion without an answer both are possible, until a
// readback has shown it.
//
// A committed offset says which messages a group has processed: none that lies before it is ever given to the group
// again. So it must not stand where other messages can still get the offsets before it.
//
// | policy               | what the engine does before it records an offset, and in recovery                                     |
// |----------------------|-------------------------------------------------------------------------------------------------------|
// | always               | what lies before it is on the medium                                                                  |
// | interval(d)          | syncs what lies before it; where that fails the commit is refused, and nothing is recorded            |
// | never                | records it. A sync for it would be one that nobody has asked for                                      |
// | any, in recovery     | an offset beyond the end of the log is lowered to that end, durably and before anything is appended,  |
// |                      | and the recovery says so. Under `never` a power loss leads there, elsewhere damage that was cut, and  |
// |                      | nothing else: a sync that failed, as the engine knew, is no excuse                                    |
//
// Lowered, an offset lets the group read again from where the log was cut (at least once); left where it was, it would
// keep from the group what gets the offsets below it. What a readback is answered must therefore be the last offset
// committed, or the end of the log that a later recovery has found. It lies within the log, and behind no message that
// was sent after it had been committed.
//
// An offset names one message, for good, wherever the message is owed: a reader who remembers offsets never finds
// another one there. Where a message was allowed to go (a power loss under `interval` or `never`, damage under
// truncate-at-corruption, or damage that nothing testifies for) its offset may be given again; the check says how often
// that has happened.
//
// An engine keeps them twice, and damage to one copy excuses nothing. Where a fault has damaged both copies of one
// record, and a later one in both testifies that it was no torn end, nobody can know what it said: the engine may
// refuse to open, and must open, with everything, once one copy has been put back. It may not open without what is
// gone. Where nothing testifies, zeros over all records of both copies say, what it has forgotten is `unknown`, but for
// topics whose logs hold messages: their folders name topic and partition, and an engine that begins such a topic anew
// has lost it.
//
// What nobody answered comes out one way: what a readback after a restart has shown of a topic or a committed offset
// stays so until somebody asks for it once more.
//
// One producer's messages stand in the order in which it sent them. Of two producers nothing is promised, whoever was
// answered first; but no offset is acknowledged twice in one life, and none that all messages sent by then could not
// have reached.
//
// Damage by a fault may lose, whatever the promise, and, where a report is owed, only if the engine reports it:
//
// | policy                | what may go                                            | offsets of what is gone          |
// |-----------------------|--------------------------------------------------------|----------------------------------|
// | skip-corrupted        | the operations touched, whole                          | stay reserved: an excused gap    |
// | truncate-at-corruption| the first operation touched and all that were after it | are given again from there on    |
//
// An object that a fault has stored in part excuses no loss: an engine relies on what it has read back. Where its
// messages may be gone for another reason, it may report them as damaged and keep their offsets, under
// truncate-at-corruption too: what is archived is never cut, and no offset of it is given again.
//
// A report names the file that was damaged, or what it was set aside as, and bytes among which the damaged ones are.
// Where an incarnation since the damage was cut off before anybody read it back, or an opening failed, another place
// will do: that one may have reported it, and set the file aside.
//
// An excuse is bound to what it is about. A fault that a readback after it shows to have taken nothing of a request
// excuses no later loss of that; where it strikes with the power (a sync that fails or lies) only a readback after a
// power loss shows that. A report speaks of requests that had been submitted when it was given, however far its offsets
// reach, and of nothing that has them since. What is gone may be reported again after every restart.
//
// What a fault took is excused only where the engine could not know of it in time:
//
// - Told then and there (an error of a write or a sync), it may not acknowledge anything on the strength of that
//   operation, nor of a retry: what was acknowledged later than it was told is not excused. Under
//   truncate-at-corruption it may go with what it stands behind, as always.
// - A refused sync (EIO, ENOSPC ...) leaves what it covered in the page cache, to be taken by the power loss that ends
//   the same incarnation, with a report; a process kill takes none of it, and the engine that opens the log then syncs
//   what it keeps.
// - An engine that was told of a failed sync, and whose close has returned without an error all the same, has said that
//   the failure cost nothing: it excuses nothing then, but under `never`.
// - Pages that a failed sync has marked clean, and names that a sync of their directory has lost, go with the first
//   power loss after it. Where the sync said that it had succeeded nobody could know, and no report is owed.
//
// A report is owed only where something on the medium testifies that the damaged operation was acknowledged. Its last
// commit, damaged, looks to every log like a commit that a crash tore and nobody was told of.
//
// | testifies for an operation, before the damage                     | always  | interval(d) | never   |
// |-------------------------------------------------------------------|---------|-------------|---------|
// | another operation of the partition: submitted after the damaged   |         |             |         |
// |   one's acknowledgement had been received (or in a later          |         |             |         |
// |   incarnation), itself acknowledged, untouched by any damage, and | yes     | yes*        | yes     |
// |   owed to the readback or served by it                            |         |             |         |
// | an orderly close after the acknowledgement                        | yes     | yes         | no      |
// | it is the first operation that its incarnation acknowledged in    |         |             |         |
// |   the partition: the engine keeps account, away from the log, of  | yes     | no          | no      |
// |   where each writer began, unless a fault refused it that         |         |             |         |
//
// (*) Where the power has gone since: submitted later than d and the device's excess (note 5) after it, or served. A
// batch says how far the log was durable when it was written, and no log can tell a destroyed batch from one that the
// power loss took of the same interval.
//
// Where nothing testifies the loss of what was touched is excused without a report, and the check says so. Under
// truncate-at-corruption the same goes for what stands behind it, and where something testifies for the first operation
// touched, what stands behind is owed a report unless it was destroyed as well and nothing testifies for it: no log
// sees how far it reached. Under skip-corrupted the loss of what stands behind is excused only where that is not
// testified for either: it may have been in the same commit, and a torn commit ends where the tear begins.
//
// What was destroyed before anybody was told its offset may have taken offsets all the same. So many of them as it has
// messages may be reported as damaged, and under skip-corrupted stay reserved, where they are nobody else's. Where a
// readback has placed it, it is damaged like any other. Otherwise truncate-at-corruption may cut at it what had not
// been acknowledged before it was submitted, from the first reported offset on.
//
// A newer writer that takes over in the middle of a life recovers the log: what it sends afterwards stands behind no
// damage that was done before, whatever offsets it gets, and testifies for nothing that was lost by it.
//
// Damage whose offsets are not known makes a loss in its partition `unknown` instead of `violated`. A fault that
// nobody can notice (a sync that lies) is recorded as not detectable: no report is owed.

/// The configuration that the promises follow from; crash kinds, instants and damage are in the `History`.
public struct Contract: Hashable, Sendable {
  /// Of the first incarnation.
  public var sync: SyncPolicy
  /// Of the incarnations behind it.
  public var laterSync: SyncPolicy
  public var recovery: RecoveryPolicy
  /// Requests that faults give reason to refuse. Of the others that are tried after a restart a partition must accept
  /// at least one.
  public var refusals: JustifiedRejections
  /// Whom a newer writer has replaced in the first incarnation; nil where nobody was.
  public var takeover: Takeover?

  /// - Parameter laterSync: nil: as `sync`.
  public init(
    sync: SyncPolicy, laterSync: SyncPolicy? = nil, recovery: RecoveryPolicy = .skipCorrupted,
    refusals: JustifiedRejections = JustifiedRejections(), takeover: Takeover? = nil
  ) {
    (self.sync, self.laterSync) = (sync, laterSync ?? sync)
    self.recovery = recovery
    self.refusals = refusals
    self.takeover = takeover
  }

  /// The policy of an incarnation, from 0.
  func sync(of incarnation: Int) -> SyncPolicy { incarnation == 0 ? sync : laterSync }
}

/// What is owed to one operation at one moment; see the table above.
enum Promise: Equatable {
  case none
  case volatile(since: Instant)
  case durable

  static let unsynced = Promise.volatile(since: Instant(nanoseconds: .max))
}

/// Moves promises over crashes, restarts and readbacks.
struct PromiseRules {
  private let contract: Contract
  let crashes: [Crash]
  let openings: [Instant?]
  /// By crash: whether the engine had been closed in order before it.
  let closed: [Bool]

  init(_ contract: Contract, _ history: History) {
    self.contract = contract
    crashes = history.crashes
    openings = history.openings
    closed = history.crashes.indices.map(history.wasClosed)
  }

  /// The policy of an incarnation.
  func sync(of incarnation: Int) -> SyncPolicy { contract.sync(of: incarnation) }

  func acknowledged(at instant: Instant, in incarnation: Int) -> Promise {
    switch sync(of: incarnation) {
    case .always: .durable
    case .interval: .volatile(since: instant)
    case .never: .unsynced
    }
  }

  /// The promise once crash `index` has ended its incarnation and the engine has been opened again.
  func after(_ promise: Promise, crash index: Int) -> Promise {
    guard case .volatile(let since) = promise else { return promise }
    let crash = crashes[index]
    if closed[index], case .interval = sync(of: index) { return .durable }
    if let window = window(of: index, since: since), since <= crash.instant - window { return .durable }
    switch crash.kind {
    case .powerLoss, .powerLossAfterClose: return .none
    case .none, .processKill, .outOfMemory:
      switch sync(of: index + 1) {
      // What recovery finds it makes durable before it serves any of it.
      case .always: return openings.indices.contains(index + 1) && openings[index + 1] != nil ? .durable : promise
      case .interval: return crash.kind == .none ? promise : reopened(index + 1)
      case .never: return promise
      }
    }
  }

  /// What crash `index` may take under `interval`, counted back from it: d, and twice the device's excess over d/2
  /// (note 5). Nil under the other policies.
  /// - Parameter since: of what was acknowledged then; nil for the widest.
  func window(of index: Int, since: Instant? = nil) -> Duration? {
    guard case .interval(let window) = sync(of: index) else { return nil }
    let delay = since.map { crashes[index].delay(after: $0) } ?? crashes[index].deviceDelay
    return window + max(.zero, delay - window / 2) * 2
  }

  /// The promise of an operation, written in `incarnation`, that a readback after `restart` has served.
  func served(_ promise: Promise, writtenIn incarnation: Int, restart: Int) -> Promise {
    if promise == .durable || sync(of: restart) == .always { return .durable }
    if crashes[incarnation..<restart].contains(where: { $0.kind.losesPower }) { return .durable }
    guard promise == .none else { return promise }
    return if case .interval = sync(of: restart) { reopened(restart) } else { .unsynced }
  }

  /// Without a recorded opening nothing can be said about how long the engine had to sync: the lenient reading.
  private func reopened(_ restart: Int) -> Promise {
    guard restart < openings.count, let instant = openings[restart] else { return .unsynced }
    return .volatile(since: instant)
  }
}
