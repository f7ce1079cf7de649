import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// "WAL Recovery Failures" of the Streamhouse runbook: what an operator does between the crash and the restart, step by
/// step as its options are written. Option 1 has no step: the engine is started, and recovers by itself.
///
/// | option | steps |
/// |---|---|
/// | 2 | stop; `cp` the corrupt log to `/tmp/orders-0.wal.backup`; `rm` it; start |
/// | 3 | stop; `mv` the corrupt log to `orders-0.wal.old`; start: the engine rebuilds the partition from its object store |
/// | 4 | `sync` every log; `rm` the corrupt one; restart |
/// | 5 | copy the corrupt log away; write its valid records to a new file; copy that into the log's place; restart |
///
/// "The log" is every file of the partition that damage at rest has hit first. `/tmp` is the folder `operator` beside
/// the engine's own. The document says `kubectl exec` after scaling the deployment to nothing, which leaves no pod to
/// run in; here the files are reached. It syncs in option 4 only; here each step is on the medium when it is done, so
/// that what is lost is lost by the step itself. What is removed leaves a receipt, as damage does: the oracle knows
/// which messages it held.
struct RecoveryRunbook {
  static let kind = "runbook"
  static let descriptor = FaultDescriptor(
    kind, .operation,
    "an option of the Streamhouse runbook \"WAL Recovery Failures\", step by step. Option 3 needs a checkpoint, option "
      + "5 "
      + "another `system`",
    [FaultParameter("option", .integer(2...5), "which option of the runbook. Option 1 has no step", isRequired: true)])

  /// Where copies are kept.
  private static let aside = "operator"

  let option: Int
  let system: LogSystem
  /// Of option 5.
  let tool: any LogRepairing

  /// What the steps came to.
  struct Course: Sendable {
    var steps: [String] = []
    /// What stood in files that are gone from the log.
    var removed: [FileRange] = []
  }

  /// Nil where the trial has no operator.
  init?(_ spec: TrialSpec, tool: any LogRepairing = SkipCorruptedRecords()) {
    guard let fault = spec.faults.first(where: { $0.kind == Self.kind }),
      let option = FaultWords(fault).integer("option")
    else { return nil }
    (self.option, system, self.tool) = (option, spec.system, tool)
  }

  /// Why the option cannot be followed on a log of that system; nil where it can.
  static func problem(of spec: TrialSpec) -> String? {
    guard let runbook = RecoveryRunbook(spec) else { return nil }
    if runbook.option == 3, spec.checkpoint == .none {
      return
        "option 3 of the runbook rebuilds from an object store, and there is none; add checkpoint: flushed or "
        + "background"
    }
    if runbook.option == 5, spec.system == .tornlog {
      return
        "option 5 of the runbook moves valid records together, and a batch of system tornlog is tied to its place by "
        + "its "
        + "checksum: recovery reads all valid ones where they stand (skip-corrupted); choose another system"
    }
    return nil
  }

  /// Does the steps between stop and start.
  /// - Parameters:
  ///   - corrupt: files of the corrupt partition's log.
  ///   - healthy: files of all others.
  func follow(on storage: any Storage, corrupt: [String], healthy: [String]) async throws(StorageError) -> Course {
    var course = Course()
    switch option {
    case 2:
      for path in corrupt { try await copyAway(path, ".backup", storage, &course) }
      for path in corrupt { try await remove(path, storage, &course) }
    case 3:
      for path in corrupt {
        let size = try await size(of: path, storage)
        try await storage.rename(path, to: path + ".old")
        try await storage.syncDirectory(Self.folder(of: path))
        course.steps.append("mv \(path) \(path).old")
        course.removed.append(FileRange(path, 0..<size))
      }
    case 4:
      for path in (corrupt + healthy).sorted() {
        let file = try await storage.open(path, [.write])
        do throws(StorageError) { try await storage.sync(file, .all) } catch {
          await storage.close(file)
          throw error
        }
        await storage.close(file)
        course.steps.append("sync \(path)")
      }
      for path in corrupt { try await remove(path, storage, &course) }
    default:
      for path in corrupt { try await repair(path, storage, &course) }
    }
    return course
  }

  private func repair(_ path: String, _ storage: any Storage, _ course: inout Course) async throws(StorageError) {
    let copy = try await copyAway(path, ".corrupted", storage, &course)
    let repaired = "\(Self.aside)/\(Self.name(of: path)).repaired"
    let found = try await tool.repair(copy, into: repaired, of: system, on: storage)
    course.steps.append(
      "wal-repair --input \(copy) --output \(repaired) --skip-corrupted: \(found.records) records recovered, "
        + "\(found.skipped) places "
        + "skipped, \(found.skippedBytes) bytes")
    try await storage.copyFile(repaired, to: path)
    course.steps.append("cp \(repaired) \(path)")
  }

  @discardableResult
  private func copyAway(
    _ path: String, _ suffix: String, _ storage: any Storage, _ course: inout Course
  ) async throws(StorageError) -> String {
    try await storage.makeDirectory(Self.aside)
    let copy = "\(Self.aside)/\(Self.name(of: path))\(suffix)"
    try await storage.copyFile(path, to: copy)
    try await storage.syncDirectory(Self.aside)
    course.steps.append("cp \(path) \(copy)")
    return copy
  }

  private func remove(_ path: String, _ storage: any Storage, _ course: inout Course) async throws(StorageError) {
    let size = try await size(of: path, storage)
    try await storage.unlink(path)
    try await storage.syncDirectory(Self.folder(of: path))
    course.steps.append("rm \(path)")
    course.removed.append(FileRange(path, 0..<size))
  }

  private func size(of path: String, _ storage: any Storage) async throws(StorageError) -> Int64 {
    let file = try await storage.open(path, [])
    do throws(StorageError) {
      let size = try await storage.size(of: file)
      await storage.close(file)
      return size
    } catch {
      await storage.close(file)
      throw error
    }
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  private static func name(of path: String) -> String { String(path.split(separator: "/").last ?? "") }
}

extension RecoveryRunbook {
  /// Does the steps on files that no engine has open.
  /// - Returns: the receipt, and what the operator's commands took on the machine's clock, in seconds. Nobody's typing
  ///   and thinking is in it, nor what the harness did for its own books.
  /// - Throws: `TrialError` where the steps could not be done.
  func follow(
    on storage: any Storage, _ medium: some AtRestDamage.Medium, after damage: AtRestDamage,
    partitions: [TopicPartition]
  ) throws(TrialError) -> (receipt: Receipt, seconds: Double) {
    let victim = try damage.firstPartition()
    var (corrupt, healthy): ([String], [String]) = ([], [])
    for partition in partitions {
      if partition == victim {
        corrupt += try medium.files(of: partition)
      } else {
        healthy += try medium.files(of: partition)
      }
    }
    let (victims, files) = (corrupt, healthy)
    let start = ContinuousClock.now
    let result = storage.loop.run(limit: .seconds(3600)) { () async -> Result<Course, StorageError> in
      do throws(StorageError) { return .success(try await follow(on: storage, corrupt: victims, healthy: files)) } catch
      {
        return .failure(error)
      }
    }
    let seconds = (ContinuousClock.now - start).inSeconds
    switch result.value {
    case .success(let course)?:
      let (touched, places) = damage.remove(course.removed)
      var receipt = Receipt(kind: Self.kind, fired: 1, places: course.steps, touched: touched)
      receipt.touchedPlaces = places
      return (receipt, seconds)
    case .failure(let error)?: throw .operatorStep(.runbookOption(option), reason: "\(error)")
    case nil: throw .operatorStep(.runbookOption(option), reason: "it took more than an hour")
    }
  }
}
