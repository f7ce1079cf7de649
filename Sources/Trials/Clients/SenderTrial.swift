import EventReceivers
import LogModel
import RecordLogs
import ScenarioFormat
import Storage
import Verification

/// A sender whose receiver refuses every attempt until its back-off has come to its end, with the document's own
/// back-off.
struct SenderTrial {
  let spec: TrialSpec

  init(_ spec: TrialSpec) { self.spec = spec }

  /// What the document says of each pause: 1 s, doubled, 60 s at the most.
  static let course = [1, 2, 4, 8, 16, 32, 60, 60, 60]

  func run() throws(TrialError) -> ClientTrial.Account {
    let receiver = ModelReceiver()
    receiver.behavior = { _, attempt in attempt < Self.course.count ? .refuses : .accepts }
    let (spec, count) = (spec, spec.messages)
    try ClientMatrixSubject(disk: MemoryDisk(seed: spec.seed), seed: spec.seed).live { storage in
      receiver.loop = storage.loop
      try await DurableDirectories(storage).make("wal")
      let (log, _) = try await JobLog.open(
        try JobID("build-17"), in: "wal", of: storage, clock: .following(storage.loop))
      for n in 0..<count { try await log.append(Array("event \(n)".utf8)) }
      let sender = Sender(log, over: receiver, seed: spec.seed)
      sender.start()
      await storage.loop.sleep(until: storage.loop.now + .seconds(600))
      _ = await sender.stop(within: .seconds(60))
      try await log.close()
    }
    let times = receiver.attempts.prefix(Self.course.count + 1).map(\.at)
    let pauses = zip(times, times.dropFirst()).map { $1 - $0 }
    var account = ClientTrial.Account()
    account.figures[.pauses] = Double(pauses.count)
    account.figures[.pausesOffCourse] = Double(Self.offCourse(pauses))
    account.owe(count, found: receiver.taken.values.reduce(0) { $0 + $1.count }, "events")
    return account
  }

  /// How many pauses are not what the course makes of them; an attempt itself takes some milliseconds.
  static func offCourse(_ pauses: [Duration]) -> Int {
    zip(pauses, course).count { pause, whole in
      pause < max(.seconds(1), .seconds(whole) / 2) || pause > .seconds(whole) + .milliseconds(10)
    }
  }
}

/// Job logs of a build's output, archived, and kept for as long as the document says.
struct ArchiveTrial {
  let spec: TrialSpec

  init(_ spec: TrialSpec) { self.spec = spec }

  /// Touched on one loop, and after it.
  private final class Notes: @unchecked Sendable {
    var account = ClientTrial.Account()
    var archived = 0
  }

  func run() throws(TrialError) -> ClientTrial.Account {
    let (receiver, disk, notes) = (ModelReceiver(), MemoryDisk(seed: spec.seed), Notes())
    let spec = spec
    try ClientMatrixSubject(disk: disk, seed: spec.seed).live { storage in
      receiver.loop = storage.loop
      for folder in ["wal", "archive"] { try await DurableDirectories(storage).make(folder) }
      let archive = JobArchive("archive", of: storage, clock: .following(storage.loop))
      var random = SeededGenerator(seed: spec.seed, stream: "build output")
      var (bytes, saved) = (0, 0)
      for slot in 0..<spec.partitions {
        let job = try JobID("build-\(slot)")
        let (log, _) = try await JobLog.open(job, in: "wal", of: storage, clock: .following(storage.loop))
        let lines = (0..<spec.messages(ofPartition: slot)).map { Self.line($0, &random) }
        for line in lines { try await log.append(line) }
        let sender = Sender(log, over: receiver, seed: spec.seed)
        sender.start()
        _ = await sender.stop(within: .seconds(600))
        let size = disk.read("wal/\(job).wal")?.count ?? 0
        let path: String
        do throws(JobLogError) { path = try await archive.archive(log) } catch {
          // No fault is in its way here: what is not in the archive is missing, and the account says so.
          notes.account.notices.append("the log of \(job) was not archived: \(error)")
          continue
        }
        bytes += size
        saved += size - (disk.read(path)?.count ?? size)
        let kept = try await archive.events(of: job) ?? []
        notes.archived += zip(lines, kept).count { $0 == $1.payload } - max(0, kept.count - lines.count)
      }
      notes.account.figures[.saved] = bytes == 0 ? nil : Double(saved) / Double(bytes) * 100
      for (days, figure) in [(29, ClaimFigure.removedEarly), (2, .removedExpired)] {
        await storage.loop.sleep(until: storage.loop.now + .seconds(days * 86_400))
        let before = disk.paths.count { $0.hasPrefix("archive/") }
        _ = try await archive.removeExpired()
        notes.account.figures[figure] = Double(before - disk.paths.count { $0.hasPrefix("archive/") })
      }
    }
    notes.account.owe(spec.messages, found: notes.archived, "events")
    return notes.account
  }

  /// A line of a build's output, as such are: the same words, other numbers.
  private static func line(_ n: Int, _ random: inout SeededGenerator) -> [UInt8] {
    let (time, module, source) = (
      Int.random(in: 100...999, using: &random), Int.random(in: 0..<40, using: &random),
      Int.random(in: 0..<900, using: &random)
    )
    let head =
      "{\"type\":\"log\",\"stream\":\"stdout\",\"step\":\(n / 200),"
      + "\"time\":\"2026-01-31T11:00:\(10 + n % 50).\(time)Z\","
    return Array("\(head)\"line\":\"[\(n % 97)/97] Compiling module\(module) Source\(source).swift\"}".utf8)
  }
}
