import Glibc
import LogModel
import Storage

/// The course of an operation through its faults.
extension FaultyStorage {
  /// What is to happen to one pass.
  struct Course: @unchecked Sendable {
    // Owned by the storage's loop; `call` points to what a write writes until the operation has ended.

    struct Hit {
      var armed: ArmedFault
      /// The first byte to be hit, from the start of the pass.
      var byte: Int?
    }

    var call: StorageCall
    var number: UInt64
    var stalls: [ArmedFault] = []
    var flips: [Hit] = []
    var outcome: Hit?
    var isReadOnly = false
  }

  /// Counts the pass and claims the faults that hit it: a fault that fires once is nobody else's from here on.
  func begin(_ call: StorageCall) throws(StorageError) -> Course {
    if isCut { throw lost(call) }
    let now = loop.now
    var course = Course(call: call, number: nextOperation())
    course.isReadOnly = readOnly.map { $0.until.map { now < $0 } ?? true } == true && call.isChange
    let surroundings = TriggerCounter.Surroundings(now: now, percent: progress)
    let phases = self.phases.begin(call)
    if census != nil { takeCensus(call, phases) }
    for one in armed where one.isArmed(at: now) && one.matches(call, in: phases) && canHit(call, one.planned) {
      let hit = one.count(call, in: surroundings)
      guard let hit, !one.planned.fault.descriptor.decidesOutcome || course.outcome == nil && !course.isReadOnly else {
        continue
      }
      one.claim(at: now)
      switch one.planned.fault {
      case .stall: course.stalls.append(one)
      case .bitFlip: course.flips.append(.init(armed: one, byte: hit.byte))
      default: course.outcome = .init(armed: one, byte: hit.byte)
      }
    }
    if !course.flips.isEmpty, !movesBytes(course) {
      for flip in course.flips { flip.armed.release() }
      course.flips = []
    }
    return course
  }

  /// What depends on the state of the file.
  func canHit(_ call: StorageCall, _ planned: PlannedFault) -> Bool {
    switch planned.fault {
    case .staleRead:
      (older[call.path]?.entries.contains {
        $0.range.overlaps(call.offset..<call.offset + Int64(call.length))
      } ?? false)
        && carriesItsAim(call, planned)
    case .shortWrite where isDirect(call.file) && call.length <= properties.blockSize,
      .shortRead where isDirect(call.file) && call.length <= properties.blockSize:
      false
    default: carriesItsAim(call, planned)
    }
  }

  func movesBytes(_ course: Course) -> Bool {
    if course.isReadOnly { return false }
    guard let hit = course.outcome else { return true }
    let fault = hit.armed.planned.fault
    if case .lostWrite = fault { return false }
    let isRefused = fault.descriptor.errno != nil || fault == .crash
    return !isRefused || hit.armed.planned.trigger.moment == .completion
  }

  func isDirect(_ file: FileID?) -> Bool { file.map { handles[$0]?.isDirect ?? false } ?? false }

  func lost(_ call: StorageCall) -> StorageError { error(.powerLost, call) }

  func error(_ code: StorageError.Code, _ call: StorageCall) -> StorageError {
    let hasOffset = [.read, .write, .truncate].contains(call.kind)
    return StorageError(code, call.kind, call.path, offset: hasOffset ? call.offset : nil)
  }

  /// The time that an answer of the fault layer takes.
  func pause(_ call: StorageCall) async throws(StorageError) {
    await loop.sleep(until: loop.now + .microseconds(10))
    if isCut { throw lost(call) }
  }

  /// Runs `operation` with the faults that any operation can have; it sees to the others itself.
  func perform<Value>(
    _ course: Course, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    do throws(StorageError) {
      let value = try await run(course, operation)
      phases.end(course.call, isRefused: false)
      return value
    } catch {
      phases.end(course.call, isRefused: true)
      throw error
    }
  }

  private func run<Value>(
    _ course: Course, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let call = course.call
    for one in course.stalls where one.planned.trigger.moment != .completion { try await stall(one, course) }
    if course.isReadOnly, let readOnly {
      record(readOnly.planned, .readOnly, course, answer: .error(EROFS), .reported, follows: readOnly.receipt)
      try await pause(call)
      throw error(.errno(EROFS), call)
    }
    if let hit = course.outcome, hit.armed.planned.fault.isRefusal(of: call) {
      if hit.armed.planned.trigger.moment == .completion, hit.armed.planned.fault != .readOnly {
        do throws(StorageError) { _ = try await operation() } catch {
          hit.armed.release()
          throw error
        }
      }
      try await refuse(hit.armed, course)
    }
    if let hit = course.outcome, case .crash = hit.armed.planned.fault {
      try begin(crash: hit.armed, course)
    }
    let result: Result<Value, StorageError>
    do throws(StorageError) { result = .success(try await operation()) } catch { result = .failure(error) }
    for one in course.stalls where one.planned.trigger.moment == .completion { try await stall(one, course) }
    if let hit = course.outcome, case .crash = hit.armed.planned.fault, hit.armed.planned.trigger.moment == .completion
    {
      crash(record(hit.armed, course, answer: .none, .evident))
    }
    if isCut { throw lost(call) }
    return try result.get()
  }

  func refuse(_ one: ArmedFault, _ course: Course) async throws(StorageError) {
    let number = one.planned.fault.descriptor.errno ?? EIO
    let moment = one.planned.trigger.moment
    let isDone = moment == .completion && one.planned.fault != .readOnly
    // A read that a read-only remount is triggered by goes on.
    let goesOn = one.planned.fault == .readOnly && !course.call.isChange
    let receipt = record(
      one, course, answer: goesOn ? .asUsual : .error(number), .reported, detail: isDone ? "after it was done" : "")
    if case .readOnly = one.planned.fault {
      var until: Instant?
      if case .duration(let duration) = one.planned.lasting { until = loop.now + duration }
      readOnly = ReadOnly(receipt: receipt.number, planned: one.index, until: until)
    }
    if goesOn { return }
    try await pause(course.call)
    throw error(.errno(number), course.call)
  }

  func stall(_ one: ArmedFault, _ course: Course) async throws(StorageError) {
    guard case .stall(let duration) = one.planned.fault else { return }
    let detail = duration.map { "\($0.inSeconds) s" } ?? "for ever"
    record(one, course, answer: duration == nil ? .none : .asUsual, .reported, detail: detail)
    if let duration { await loop.sleep(until: loop.now + duration) } else { await end.wait() }
    if isCut { throw lost(course.call) }
  }

  func begin(crash one: ArmedFault, _ course: Course) throws(StorageError) {
    switch one.planned.trigger.moment {
    case .submission:
      crash(record(one, course, answer: .none, .evident))
      throw lost(course.call)
    case .inFlight:
      loop.spawn { [self] in
        await loop.nextIdleTurn()
        await loop.nextIdleTurn()
        if !isCut { crash(record(one, course, answer: .none, .evident)) }
      }
    case .completion: break
    }
  }

  func crash(_ receipt: StorageFaultReceipt) {
    cut()
    onCrash?(receipt)
  }

  // MARK: Receipts

  /// A fault of the plan fires.
  @discardableResult
  func record(
    _ one: ArmedFault, _ course: Course, destroyed: [FileRange] = [], misread: [FileRange] = [], entries: [String] = [],
    answer: StorageFaultReceipt.Answer, _ detection: StorageFaultReceipt.Detection, detail: String = ""
  ) -> StorageFaultReceipt {
    record(
      one.index, one.planned.fault.kind, course, destroyed: destroyed, misread: misread, entries: entries,
      answer: answer, detection, detail: detail)
  }

  @discardableResult
  func record(
    _ planned: Int, _ kind: FaultKind, _ course: Course, destroyed: [FileRange] = [], misread: [FileRange] = [],
    entries: [String] = [], answer: StorageFaultReceipt.Answer, _ detection: StorageFaultReceipt.Detection,
    follows: Int? = nil, detail: String = ""
  ) -> StorageFaultReceipt {
    let call = course.call
    var atRisk: [FileRange] = []
    if call.kind == .sync, case .error(let number) = answer, number != EINTR, number != EAGAIN {
      atRisk = unsynced[call.path]?.ranges.map { FileRange(call.path, $0) } ?? []
    }
    let receipt = StorageFaultReceipt(
      number: receipts.count, planned: planned, kind: kind, operation: call.kind, path: call.path, offset: call.offset,
      length: call.length, operationNumber: course.number, instant: loop.now, destroyed: destroyed, atRisk: atRisk,
      misread: misread,
      entries: entries, answer: answer, detection: detection, follows: follows, detail: detail)
    keep(receipt)
    return receipt
  }
}

extension StorageCall {
  /// Whether a read-only file system refuses it. `man 2 open`, EROFS.
  var isChange: Bool {
    switch kind {
    case .write, .truncate, .makeDirectory, .rename, .unlink: true
    case .open: !OpenMode(rawValue: flags).isDisjoint(with: [.write, .create])
    case .close, .size, .read, .sync, .syncDirectory, .list, .lock, .linkCount: false
    }
  }
}

extension StorageFault {
  /// Whether it answers `call` with an error and nothing else; a write that finds no space may first be short.
  func isRefusal(of call: StorageCall) -> Bool {
    switch self {
    case .noSpace, .quotaExceeded: call.kind != .write
    default: descriptor.errno != nil
    }
  }
}
