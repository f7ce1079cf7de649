import FaultInjection
import FaultWorkload
import Foundation
import Glibc
import LogModel
import PartitionEngine
import Storage
import Testing

/// What a fault came to, as far as whoever uses the engine can tell.
struct Verdict: Equatable {
  enum Share { case none, some, all }

  /// `opened`, or why not, in the life of the fault.
  var opening: String
  /// How much was acknowledged in that life.
  var accepted: Share
  /// Why the rest was not.
  var reasons: Set<String>
  // Once the fault is over:
  /// Acknowledged messages that are not served, or not in order.
  var lost: [Int] = []
  /// Messages served that were refused for certain, or never sent, or twice.
  var invented: [Int] = []
  var damaged: [String] = []
  /// The next append is acknowledged and survives another restart.
  var goesOn = false

  /// - Parameters:
  ///   - before: lives before the fault, in order.
  ///   - fault: the life of the fault, in which `sent` messages were to be produced.
  ///   - next: the life after it, which reads back and appends.
  ///   - last: another readback.
  init(before: [[String]] = [], fault: [String], sent: Int, next: [String], last: [String]) {
    func numbers(_ word: String, _ lines: [String]) -> [Int] {
      lines.compactMap { line in
        let words = line.split(separator: " ")
        return words.first.map(String.init) == word ? Int(words[1]) : nil
      }
    }
    let told = before.flatMap { $0 } + fault
    opening = fault.first { $0 == "opened" || $0.hasPrefix("refused open") } ?? "nothing"
    let own = numbers("accepted", fault).count
    accepted = own == 0 ? .none : own == sent ? .all : .some
    reasons = Set(
      fault.filter { ($0.hasPrefix("refused") || $0.hasPrefix("doubtful")) && !$0.hasPrefix("refused open") }
        .compactMap { $0.split(separator: " ").last.map(String.init) })
    let acknowledged = numbers("accepted", told)
    let found = numbers("found", next)
    lost = acknowledged.filter { !found.contains($0) }
    if lost.isEmpty, found.filter(Set(acknowledged).contains) != acknowledged { lost = acknowledged }
    let refused = Set(numbers("refused", told))
    invented = found.filter { refused.contains($0) }
    if Set(found).count != found.count { invented += found }
    damaged = next.filter { $0.hasPrefix("damaged") }
    let appended = numbers("accepted", next)
    goesOn = !appended.isEmpty && numbers("found", last) == found + appended
  }

  /// Nothing that was promised is broken.
  var isSound: Bool { lost.isEmpty && invented.isEmpty && damaged.isEmpty && goesOn }
}

/// A fault as the machine makes it and as the harness models it, on the same workload: both come to the same. Where the
/// machine does not allow the real one, the test is skipped, and says why.
@Suite(.serialized) struct RealFaultTests {
  static let storages = ["posix", "ring"]
  static let some = 40
  static let many = 3000
  /// Number of the message that is appended once the fault is over.
  static let later = 100_000

  /// A life on real files, in a process of its own.
  static func live(_ storage: String, _ folder: String, _ messages: Range<Int>, _ words: String...) throws -> [String] {
    try WorkerLife([storage, folder, "\(messages.lowerBound)", "\(messages.count)"] + words).finish()
  }

  /// The two lives after a fault, on real files.
  static func aftermath(_ storage: String, _ folder: String) throws -> (next: [String], last: [String]) {
    (try live(storage, folder, later..<later + 1, "look"), try live(storage, folder, 0..<0, "look"))
  }

  /// Lines of one life on the model.
  final class Lines: @unchecked Sendable {
    // Written on one loop at a time.
    var lines: [String] = []
  }

  /// A life on the model.
  /// - Parameter crashingAfter: acknowledgements after which the process is killed.
  static func live(
    _ disk: MemoryDisk, _ messages: Range<Int>, readbacks: Bool = false, crashingAfter: Int? = nil,
    plan: FaultPlan = FaultPlan()
  ) -> (lines: [String], fired: Int) {
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = FaultyStorage(MemoryStorage(disk: disk, loop: loop), plan: plan)
    let told = Lines()
    let course = FaultWorkload.Course(messages: messages, readbacks: readbacks)
    _ = loop.run(limit: .seconds(3600)) {
      await FaultWorkload.run(course, on: storage) { line in
        // What the process says after its death nobody hears.
        if let crashingAfter, told.lines.count(where: { $0.hasPrefix("accepted") }) >= crashingAfter { return }
        told.lines.append(line)
        if let crashingAfter, told.lines.count(where: { $0.hasPrefix("accepted") }) == crashingAfter {
          _ = disk.processKill(seed: 7)
        }
      }
    }
    if crashingAfter == nil { _ = disk.processKill(seed: 7) }
    return (told.lines, storage.receipts.count)
  }

  static func aftermath(_ disk: MemoryDisk) -> (next: [String], last: [String]) {
    (live(disk, later..<later + 1, readbacks: true).lines, live(disk, 0..<0, readbacks: true).lines)
  }

  /// The disk is full, and has room again. Modelled twice: by a disk of some size, and by a fault at the storage
  /// interface.
  @Test(.enabled(if: Disk.tmpfsRefusal == nil, "\(Disk.tmpfsRefusal ?? "")"), arguments: storages)
  func aFullTmpfs(_ storage: String) throws { try fill(.tmpfs, storage) }

  @Test(.enabled(if: Disk.ext4Refusal == nil, "\(Disk.ext4Refusal ?? "")"), arguments: storages)
  func aFullExt4(_ storage: String) throws { try fill(.ext4, storage) }

  private func fill(_ kind: Disk.Kind, _ storage: String) throws {
    let disk = try Disk(kind)
    let folder = disk.path + "/data"
    mkdir(folder, 0o755)
    try disk.fill(leaving: 600 << 10)
    let fault = try Self.live(storage, folder, 0..<Self.many)
    disk.freeSpace()
    let (next, last) = try Self.aftermath(storage, folder)
    let real = Verdict(fault: fault, sent: Self.many, next: next, last: last)
    #expect(real.isSound && real.opening == "opened" && real.accepted == .some && real.reasons == ["ENOSPC"], "\(real)")

    let small = MemoryDisk(seed: 1, capacity: 600 << 10)
    let filled = Self.live(small, 0..<Self.many).lines
    small.capacity = nil
    let modelled = Self.aftermath(small)
    #expect(Verdict(fault: filled, sent: Self.many, next: modelled.next, last: modelled.last) == real)

    let whole = MemoryDisk(seed: 1)
    let plan = FaultPlan([PlannedFault(.noSpace, FaultTrigger([.write], .bytes(500 << 10)), .sticky)])
    let refused = Self.live(whole, 0..<Self.many, plan: plan)
    let after = Self.aftermath(whole)
    #expect(refused.fired > 0)
    #expect(Verdict(fault: refused.lines, sent: Self.many, next: after.next, last: after.last) == real)
  }

  /// A folder that the user may not write to any more. Permissions do not bind root: as root it runs as nobody.
  @Test(arguments: storages)
  func aDeniedPermission(_ storage: String) throws {
    let scratch = try Scratch()
    let folder = try scratch.folder("data")
    var (program, user) = (WorkerLife.program, [String]())
    if isRoot {
      // The package may be closed to others; a copy is not. Another process makes it: a child that some other test
      // starts meanwhile would inherit the copy's open file, and while one is open for writing nobody can run it
      // (ETXTBSY).
      program = scratch.path + "/FaultWorker"
      let copied = try command("cp", WorkerLife.program, program)
      try #require(copied.code == 0, "\(copied.output)")
      chmod(program, 0o755)
      chown(folder, 65534, 65534)
      user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    }
    func live(_ messages: Range<Int>, _ words: String...) throws -> [String] {
      try WorkerLife(
        [storage, folder, "\(messages.lowerBound)", "\(messages.count)"] + words, program: program, as: user
      ).finish()
    }
    let before = try live(0..<Self.some)
    let partition = folder + "/topics/orders/0"
    chmod(partition, 0o555)
    defer { chmod(partition, 0o755) }
    let fault = try live(Self.some..<2 * Self.some)
    chmod(partition, 0o755)
    let next = try live(Self.later..<Self.later + 1, "look")
    let real = Verdict(before: [before], fault: fault, sent: Self.some, next: next, last: try live(0..<0, "look"))
    #expect(real.isSound && real.opening == "opened" && real.accepted == .none && real.reasons == ["EACCES"], "\(real)")

    let disk = MemoryDisk(seed: 1)
    let first = Self.live(disk, 0..<Self.some).lines
    let denied = FaultTrigger([.open], pathContains: "topics/orders/0/", phase: "produce")
    let refused = Self.live(
      disk, Self.some..<2 * Self.some, plan: FaultPlan([PlannedFault(.permissionDenied, denied, .sticky)]))
    let after = Self.aftermath(disk)
    #expect(refused.fired > 0)
    #expect(Verdict(before: [first], fault: refused.lines, sent: Self.some, next: after.next, last: after.last) == real)
  }

  /// The file system is read-only when the engine is opened, and writable again.
  @Test(.enabled(if: Disk.tmpfsRefusal == nil, "\(Disk.tmpfsRefusal ?? "")"), arguments: storages)
  func aReadOnlyTmpfs(_ storage: String) throws { try remount(.tmpfs, storage) }

  @Test(.enabled(if: Disk.ext4Refusal == nil, "\(Disk.ext4Refusal ?? "")"), arguments: storages)
  func aReadOnlyExt4(_ storage: String) throws { try remount(.ext4, storage) }

  private func remount(_ kind: Disk.Kind, _ storage: String) throws {
    let disk = try Disk(kind)
    let folder = disk.path + "/data"
    mkdir(folder, 0o755)
    let before = try Self.live(storage, folder, 0..<Self.some)
    try disk.remount("ro")
    let fault = try Self.live(storage, folder, Self.some..<2 * Self.some)
    try disk.remount("rw")
    let (next, last) = try Self.aftermath(storage, folder)
    let real = Verdict(before: [before], fault: fault, sent: Self.some, next: next, last: last)
    #expect(real.isSound && real.opening == "refused open EROFS" && real.accepted == .none, "\(real)")

    let model = MemoryDisk(seed: 1)
    let first = Self.live(model, 0..<Self.some).lines
    let plan = FaultPlan([
      PlannedFault(.readOnly, FaultTrigger(Set(OperationKind.allCases).subtracting([.close])), .sticky)
    ])
    let refused = Self.live(model, Self.some..<2 * Self.some, plan: plan)
    let after = Self.aftermath(model)
    #expect(refused.fired > 0)
    #expect(Verdict(before: [first], fault: refused.lines, sent: Self.some, next: after.next, last: after.last) == real)
  }

  /// SIGKILL while messages are acknowledged.
  @Test(arguments: storages, [1, 100])
  func aKilledProcess(_ storage: String, _ acknowledged: Int) throws {
    let scratch = try Scratch()
    let folder = try scratch.folder("data")
    let worker = try WorkerLife([storage, folder, "0", "\(Self.many * 100)"])
    while worker.lines.count(where: { $0.hasPrefix("accepted") }) < acknowledged, worker.next() != nil {}
    let fault = worker.kill()
    let (next, last) = try Self.aftermath(storage, folder)
    let real = Verdict(fault: fault, sent: Self.many * 100, next: next, last: last)
    #expect(real.isSound && real.opening == "opened" && real.accepted == .some && real.reasons.isEmpty, "\(real)")

    let disk = MemoryDisk(seed: 1)
    let killed = Self.live(disk, 0..<Self.many * 100, crashingAfter: acknowledged).lines
    let after = Self.aftermath(disk)
    #expect(Verdict(fault: killed, sent: Self.many * 100, next: after.next, last: after.last) == real)
  }

  /// A second process finds the engine's lock held, does nothing, and gets in once the first is dead.
  @Test(arguments: storages)
  func aLockBetweenProcesses(_ storage: String) throws {
    let scratch = try Scratch()
    let folder = try scratch.folder("data")
    let holder = try WorkerLife([storage, folder, "0", "\(Self.some)", "hold"])
    while let line = holder.next(), line != "holding" {}
    let fault = try Self.live(storage, folder, Self.some..<2 * Self.some)
    let before = holder.kill()
    #expect(before.count { $0.hasPrefix("accepted") } == Self.some)
    let (next, last) = try Self.aftermath(storage, folder)
    let real = Verdict(before: [before], fault: fault, sent: Self.some, next: next, last: last)
    #expect(real.isSound && real.opening == "refused open in-use" && real.accepted == .none, "\(real)")

    let disk = MemoryDisk(seed: 1)
    let loop = EventLoop(simulatedWithSeed: 1)
    let told = (first: Lines(), second: Lines())
    _ = loop.run(limit: .seconds(3600)) {
      // Two storages are two processes of one machine: each has handles of its own.
      let (first, second) = (MemoryStorage(disk: disk, loop: loop), MemoryStorage(disk: disk, loop: loop))
      loop.spawn {
        await FaultWorkload.run(.init(messages: 0..<Self.some, holds: true), on: first) { told.first.lines.append($0) }
      }
      while told.first.lines.last != "holding" { await loop.sleep(until: loop.now + .milliseconds(1)) }
      await FaultWorkload.run(.init(messages: Self.some..<2 * Self.some), on: second) { told.second.lines.append($0) }
    }
    _ = disk.processKill(seed: 7)
    let after = Self.aftermath(disk)
    #expect(
      Verdict(before: [told.first.lines], fault: told.second.lines, sent: Self.some, next: after.next, last: after.last)
        == real)
  }

  /// The comparison can fail: what the verdict says follows from what was told.
  @Test func aVerdictIsNoMatterOfCourse() {
    let fault = ["opened", "accepted 0", "refused 1 ENOSPC", "doubtful 2 ENOSPC"]
    let sound = Verdict(
      fault: fault, sent: 9, next: ["opened", "found 0", "found 2", "accepted 5"],
      last: ["found 0", "found 2", "found 5"])
    #expect(sound.isSound && sound.accepted == .some && sound.reasons == ["ENOSPC"])
    let lost = Verdict(fault: fault, sent: 9, next: ["found 2", "accepted 5"], last: ["found 2", "found 5"])
    #expect(lost.lost == [0] && !lost.isSound)
    let invented = Verdict(
      fault: fault, sent: 9, next: ["found 0", "found 1", "accepted 5"], last: ["found 0", "found 1", "found 5"])
    #expect(invented.invented == [1] && !invented.isSound)
    let stuck = Verdict(fault: fault, sent: 9, next: ["found 0", "refused 5 ENOSPC"], last: ["found 0"])
    #expect(!stuck.goesOn && !stuck.isSound)
    let damaged = Verdict(
      fault: fault, sent: 9, next: ["damaged 0 1", "found 0", "accepted 5"], last: ["found 0", "found 5"])
    #expect(!damaged.isSound && damaged != sound)
  }
}
