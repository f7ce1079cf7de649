import FaultInjection
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// The figures that claims are judged by: each is seen to be right, and to go wrong for the right reason.
@Suite struct ClaimFigureTests {
  private func reply(
    _ system: LogSystem, faults: [FaultSpec] = [bitFlip], recovery: RecoveryPolicy = .skipCorrupted,
    defect: String = "none",
    seed: UInt64 = 42
  ) throws -> PhaseReply {
    var spec = spec(messages: 60, partitions: 2, crash: .processKill, storage: .memory, seed: seed, faults: faults)
    (spec.system, spec.recovery, spec.defect) = (system, recovery, defect)
    let scratch = try TrialScratch()
    return try SimulatedTrial(spec, scratch.folder).run()
  }

  // MARK: Checksums

  @Test func theHarnessOwnChecksumsAreTheCatalogues() {
    let check = Array("123456789".utf8)
    #expect(BitwiseCRC.zlib.checksum(check) == 0xCBF4_3926)
    #expect(BitwiseCRC.nvme.checksum(check) == 0xAE8B_1486_0A79_9888)
  }

  @Test(arguments: [LogSystem.tornlog, .streamhouse, .airunner], RecoveryPolicy.allCases)
  func aMismatchIsReportedWithBothNumbers(_ system: LogSystem, _ policy: RecoveryPolicy) throws {
    var judged = 0
    defer { #expect(judged >= 6) }
    for seed in 0..<12 as Range<UInt64> {
      let reply = try reply(system, recovery: policy, seed: seed)
      // The last commit of a log is taken for a torn one where nothing testifies that it was acknowledged: nothing is
      // reported then.
      guard reply.judgement?.losses.contains(where: { $0.reported > 0 }) == true else { continue }
      judged += 1
      #expect(reply.observed["checksums-unnamed"] == 0, "\(system) \(policy), seed \(seed)")
    }
  }

  /// An engine that verifies no checksum has none to name.
  @Test func anEngineThatVerifiesNothingNamesNothing() throws {
    #expect(try reply(.tornlog, defect: "C12b").observed["checksums-unnamed"] == 1)
  }

  @Test func onlyTheRightNumbersCount() {
    let checksum = ChecksumAtRest(partition: 0, stored: 7, computed: 9)
    func report(_ mismatch: ChecksumMismatch?) -> ReportedDamage {
      ReportedDamage(partition: PartitionSlot(0), offsets: OffsetRange(from: 0, to: 1), reason: "", mismatch: mismatch)
    }
    #expect(checksum.isNamed(by: report(ChecksumMismatch(at: 0, stored: 7, computed: 9))))
    for mismatch in [nil, (8, 9), (7, 8), (7, 7)] as [(UInt64, UInt64)?] {
      #expect(!checksum.isNamed(by: report(mismatch.map { ChecksumMismatch(at: 0, stored: $0.0, computed: $0.1) })))
    }
    // Where only the stored one is known to the harness, the other one must be another.
    let half = ChecksumAtRest(partition: 0, stored: 7)
    #expect(half.isNamed(by: report(ChecksumMismatch(at: 0, stored: 7, computed: 8))))
    #expect(!half.isNamed(by: report(ChecksumMismatch(at: 0, stored: 7, computed: 7))))
  }

  // MARK: What stands behind damage

  @Test func onlyATruncatedLogServesNothingBehindDamage() throws {
    var skipped = 0.0
    for seed in 0..<8 as Range<UInt64> {
      #expect(try reply(.airunner, recovery: .truncateAtCorruption, seed: seed).observed["served-behind-damage"] == 0)
      skipped += try #require(try reply(.airunner, seed: seed).observed["served-behind-damage"])
    }
    #expect(skipped > 0)
    #expect(try reply(.airunner, faults: []).observed["served-behind-damage"] == nil)
  }

  // MARK: How files begin

  @Test func anAirunnerLogBeginsAsItsDocumentSays() throws {
    let observed = try reply(.airunner, faults: []).observed
    #expect(observed["magic-at"] == 0 && observed["file-version"] == 1 && observed["first-record"] == 16, "\(observed)")
    #expect(try reply(.streamhouse, faults: []).observed["magic-at"] == nil)
  }

  @Test func anotherHeadIsSeen() throws {
    let scratch = try TrialScratch()
    var spec = spec(messages: 10)
    spec.system = .airunner
    var message = [UInt8](repeating: 0, count: spec.messageSize)
    message.withUnsafeMutableBytes {
      MessageContent(seed: spec.seed, topic: spec.topic, partition: 0).write(sequence: 0, into: $0)
    }
    let folder = "\(scratch.folder.data)/topics/\(TopicPartition(spec.topic, 0))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func heads(_ head: [UInt8]) throws -> FileHeads {
      try Data(head + [UInt8](repeating: 0, count: 24) + message).write(
        to: URL(fileURLWithPath: folder + "/orders-0.wal"))
      return try FileHeads(spec, Array("ARWAL001".utf8), FilesAtRest(folder: scratch.folder.data))
    }
    let magic = Array("ARWAL001".utf8)
    var found = try heads(magic + [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(found.magicAt == 0 && found.version == 1 && found.firstRecord == 16)
    found = try heads([0, 0, 0, 0] + magic + [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(found.magicAt == 4 && found.firstRecord == 20)
    found = try heads(magic + [2, 0, 0, 0])
    #expect(found.version == 2 && found.firstRecord == 12)
    found = try heads(Array("ARWAL002".utf8) + [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(found.magicAt == -1 && found.version == nil)
  }

  // MARK: Clients

  private func transactions(_ defect: String, crash: CrashKind = .powerLoss) throws -> ClientTrial.Account {
    var spec = spec(messages: 100, crash: crash, storage: .memory)
    (spec.defect, spec.messageSize) = (defect, 1000)
    return try TransactionTrial(spec).run()
  }

  private static func violated(_ account: ClientTrial.Account) -> Set<CheckName> {
    Set(account.checks.filter { $0.verdict == .violated }.map(\.name))
  }

  @Test(arguments: [CrashKind.processKill, .powerLoss, .none]) func transactionsOfASoundBuffer(_ crash: CrashKind)
    throws
  {
    let account = try transactions("none", crash: crash)
    #expect(Self.violated(account) == [])
    #expect(account.figures[.replayed] == 12 && account.figures[.entriesUnread] == 0, "\(account.figures)")
    #expect(account.figures[.compressedFiles] ?? 0 >= 2 && account.figures[.removedExpired] ?? 0 >= 2)
    #expect(account.figures[.removedEarly] == 0)
  }

  @Test func transactionsOfDefectiveBuffers() throws {
    #expect(Self.violated(try transactions("R2")).contains(.noDuplicates))
    #expect(Self.violated(try transactions("R2b")).contains(.noAcknowledgedLoss))
    #expect(Self.violated(try transactions("R4")).contains(.noDuplicates))
    #expect(try transactions("R3").figures[.removedEarly] ?? 0 >= 1, "cleaned up before a recovery")
  }

  /// Names of compressed files that no list shows, or no room for any.
  private final class NoCompressedFiles: StorageWrapper, @unchecked Sendable {
    override func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
      try await super.list(path).filter { !$0.name.hasSuffix(".gz") }
    }
  }

  private final class NoRoomToCompress: StorageWrapper, @unchecked Sendable {
    override func pass<Value>(
      _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
      if call.kind == .open, call.path.hasSuffix(".gz.tmp") { throw StorageError(errno: ENOSPC, .open, call.path) }
      return try await super.pass(call, traced: traced, operation)
    }
  }

  @Test func compressedFilesThatAreNotReadOrNotMadeAreSeen() throws {
    var spec = spec(messages: 100, crash: .powerLoss, storage: .memory)
    spec.messageSize = 1000
    let unread = try TransactionTrial(spec) { NoCompressedFiles($0) }.run()
    #expect(unread.figures[.entriesUnread] ?? 0 > 0, "\(unread.figures)")
    do throws(TrialError) {
      let unmade = try TransactionTrial(spec) { NoRoomToCompress($0) }.run()
      #expect(unmade.figures[.compressedFiles] == 0, "\(unmade.figures)")
    } catch {
      #expect("\(error)".contains("space"), "a life that cannot go on says so: \(error)")
    }
    // Files of 16 KiB are none of 100 MB.
    #expect(unread.figures[.largestFile] ?? .infinity < 90_000_000)
  }

  @Test func pausesThatDoNotDouble() {
    let right = SenderTrial.course.map { Duration.seconds($0) }
    #expect(SenderTrial.offCourse(right) == 0)
    #expect(SenderTrial.offCourse(right.map { $0 / 2 }) == 1, "never shorter than a second")
    #expect(SenderTrial.offCourse(right.map { _ in .seconds(1) }) == 7, "1 s and 2 s may be 1 s")
    #expect(SenderTrial.offCourse(right.map { $0 * 2 }) == 9)
  }

  @Test func alertsAreHeldAgainstTheWorld() {
    let isSo = [false, false, true, true, true, true, false, false, false]
    func figures(_ fires: [Int], holds: Int = 1) -> [ClaimFigure: Double] {
      AlertTrial.figures(isSo, isSo.indices.map(fires.contains), holds: holds, grace: 1)
    }
    #expect(figures([3, 4, 5]) == [.alertMinutes: 3, .alertSilent: 0, .alertFalse: 0])
    #expect(figures([]) == [.alertMinutes: 0, .alertSilent: 3, .alertFalse: 0])
    #expect(figures([1, 2, 3, 4, 5, 6, 7]) == [.alertMinutes: 7, .alertSilent: 0, .alertFalse: 2])
    // It must have been so for three minutes, of which one is allowed for scrapes; and it may go on for one.
    #expect(figures([2, 3, 4, 5, 6, 7], holds: 3) == [.alertMinutes: 6, .alertSilent: 0, .alertFalse: 3])
    #expect(figures([4, 5, 6], holds: 3) == [.alertMinutes: 3, .alertSilent: 1, .alertFalse: 0])
    // It never was for five.
    #expect(figures([3, 4, 5, 6], holds: 5) == [.alertMinutes: 4, .alertSilent: 0, .alertFalse: 4])
    #expect(figures([2], holds: 0) == [.alertMinutes: 1, .alertSilent: 3, .alertFalse: 0])
  }

  /// A rule of the file, and wrong ones in its place.
  struct AlertCase: Sendable, CustomStringConvertible {
    var client: TrialClient
    var alert: String
    /// What the rule waits for.
    var wait: String?
    var expression: String
    /// These fire when nothing is wrong.
    var lenient: [String]
    /// This is silent when something is.
    var strict: String
    var description: String { alert }

    static let all = [
      AlertCase(
        client: .diskSpaceLow, alert: "DiskSpaceLow", wait: "1m",
        expression: "disk_free_bytes / disk_total_bytes < 0.10",
        lenient: ["disk_free_bytes / disk_total_bytes < 0.60", "disk_free_bytes / disk_total_bytes < 0.13"],
        strict: "disk_free_bytes / disk_total_bytes < 0.05"),
      AlertCase(
        client: .archiveFull, alert: "WALDiskFull", wait: "1m",
        expression: "wal_archive_size_bytes / disk_total_bytes > 0.9",
        lenient: [
          "wal_archive_size_bytes / disk_total_bytes > 0.2", "wal_archive_size_bytes / disk_total_bytes > 0.85",
        ],
        strict: "wal_archive_size_bytes / disk_total_bytes > 0.95"),
      AlertCase(
        client: .retryRate, alert: "WALRetryRate", wait: "1m", expression: "sum(rate(wal_retries_total[5m])) > 10",
        lenient: ["sum(rate(wal_retries_total[5m])) > 1", "sum(rate(wal_retries_total[5m])) > 7"],
        strict: "sum(rate(wal_retries_total[5m])) > 20"),
      AlertCase(
        client: .failedEvents, alert: "WALFailedEvents", wait: nil, expression: "increase(wal_failures_total[5m]) > 0",
        lenient: [
          "increase(wal_failures_total[5m]) >= 0", "wal_failures_total > 0", "increase(wal_retries_total[5m]) > 0",
        ],
        strict: "increase(wal_failures_total[5m]) > 5"),
      AlertCase(
        client: .circuitBreaker, alert: "CircuitBreakerOpen", wait: "2m", expression: "circuit_breaker_state > 0",
        lenient: ["circuit_breaker_state >= 0"], strict: "circuit_breaker_state > 2"),
      AlertCase(
        client: .pendingEvents, alert: "WALPendingEvents", wait: "5m", expression: "wal_pending_events > 1000",
        lenient: ["wal_pending_events > 10", "wal_pending_events > 850"], strict: "wal_pending_events > 2000"),
    ]
  }

  /// With another threshold, or without its `for`, an alert is silent, or fires when nothing is wrong.
  @Test(.enabled(if: AlertRules() != nil, "promtool and the rules are needed"), arguments: AlertCase.all)
  func anotherThresholdIsSeen(_ rule: AlertCase) throws {
    let scratch = try TrialScratch()
    let folder = scratch.folder.path
    let trial = AlertTrial(rule.client, spec(messages: 1500, storage: .memory), folder: folder)
    try trial.live()
    #expect(Self.violated(trial.account) == [])
    func figures(_ expression: String, _ wait: String?) throws -> [ClaimFigure: Double] {
      let waiting = wait.map { ", for: \($0)" } ?? ""
      let text = "groups: [{ name: a, rules: [{ alert: \(rule.alert), expr: '\(expression)'\(waiting) }] }]"
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/rules.yml"))
      return try trial.figures(by: try #require(AlertRules(folder + "/rules.yml", folder: folder)))
    }
    for right in [
      try figures(rule.expression, rule.wait), try trial.figures(by: try #require(AlertRules(folder: folder))),
    ] {
      #expect(right[.alertMinutes] ?? 0 >= 3 && right[.alertSilent] == 0 && right[.alertFalse] == 0, "\(right)")
    }
    for lenient in rule.lenient {
      let wrong = try figures(lenient, rule.wait)
      #expect(wrong[.alertFalse] ?? 0 >= 1, "\(lenient): \(wrong)")
    }
    let late = try figures(rule.strict, rule.wait)
    #expect(late[.alertSilent] ?? 0 >= 1, "\(rule.strict): \(late)")
    // Minutes are too coarse for one of a minute.
    if let wait = rule.wait, wait != "1m" {
      let hasty = try figures(rule.expression, nil)
      #expect(hasty[.alertFalse] ?? 0 >= 1, "without its for: \(hasty)")
    }
    if rule.client == .circuitBreaker {
      #expect(trial.account.figures[.failuresBeforeOpen] ?? 0 >= 2)
      let recovers = try #require(trial.account.figures[.recoversWithin])
      #expect(recovers > 0 && recovers <= 30)
    }
    // Nothing of the tool's stays.
    #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder)) == ["data", "rules.yml"])
  }

  /// Without the rules nothing is measured, and the reader is told.
  @Test func alertsWithoutRulesAreNotJudged() throws {
    let account = try AlertTrial(.failedEvents, spec(storage: .memory), rules: "/nowhere.yml").run()
    #expect(account.figures[.alertMinutes] == nil && account.notices == [AlertRules.absence])
  }

  // MARK: Words

  @Test func aTokenHasTheClient() throws {
    var made = spec(storage: .memory)
    made.client = .transactions
    let read = try Token.decode(Token.encode(made))
    #expect(read.client == .transactions)
    made.storage = .posix
    #expect(throws: Token.Failure.self) { try Token.decode(Token.encode(made)) }
    var dying = spec(crash: .outOfMemory)
    #expect(try Token.decode(Token.encode(dying)).crash == .outOfMemory)
    dying.storage = .memory
    #expect(throws: Token.Failure.self) { try Token.decode(Token.encode(dying)) }
  }
}
