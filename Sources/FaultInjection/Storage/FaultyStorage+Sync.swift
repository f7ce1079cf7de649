import Glibc
import LogModel
import Storage

extension FaultyStorage {
  /// A sync as the faults leave it.
  func sync(_ file: FileID, _ scope: SyncScope, in course: Course) async throws(StorageError) {
    let path = course.call.path
    if let number = lateReports.removeValue(forKey: path) {
      course.outcome?.armed.release()
      try await reportLate(number, course)
    }
    if let hit = course.outcome, case .syncFailure(let failure) = hit.armed.planned.fault {
      return try await failSync(file, 0..<Int64.max, hit.armed, failure, course)
    }
    let number = unsynced[path]?.submitSync()
    try await base.sync(file, scope)
    if let number { unsynced[path]?.completeSync(number) }
  }

  func syncDirectory(in course: Course) async throws(StorageError) {
    let path = course.call.path
    if let number = lateDirectoryReports.removeValue(forKey: path) {
      course.outcome?.armed.release()
      try await reportLate(number, course)
    }
    guard let hit = course.outcome, case .syncFailure(let failure) = hit.armed.planned.fault else {
      return try await base.syncDirectory(path)
    }
    var entries: [String] = []
    if failure != .leavesDirty, let base = base.writeBackLoss { entries = try base.loseEntries(of: path) }
    let receipt = recordSyncFailure(hit.armed, failure, course, entries: entries)
    if failure == .reportedLate { lateDirectoryReports[path] = receipt.number }
    try await endSync(failure, course)
  }

  /// A failed sync is reported by the one after it.
  func reportLate(_ number: Int, _ course: Course) async throws(StorageError) {
    let planned = receipts[number].planned
    record(planned, .syncFailure, course, answer: .error(EIO), .reported, follows: number, detail: "reported late")
    try await pause(course.call)
    throw error(.errno(EIO), course.call)
  }

  /// Of a durable write: the bytes reach the cache, and the sync within it fails.
  func failSync(
    ofWrite store: Store, _ one: ArmedFault, _ failure: SyncFailure
  ) async throws(StorageError) -> Int {
    let taken = try await put(store, .volatile)
    let page: Int64 = 4096
    let end = store.offset + Int64(taken)
    let pages = store.offset / page * page..<(end + page - 1) / page * page
    try await failSync(store.file, pages, one, failure, store.course)
    return taken
  }

  private func failSync(
    _ file: FileID, _ pages: Range<Int64>, _ one: ArmedFault, _ failure: SyncFailure, _ course: Course
  ) async throws(StorageError) {
    let path = course.call.path
    var lost: [FileRange] = []
    if failure != .leavesDirty {
      lost = (unsynced[path]?.take(pages) ?? []).map { FileRange(path, $0) }
      try base.writeBackLoss?.loseWriteBack(of: file, in: pages)
    }
    let receipt = recordSyncFailure(one, failure, course, destroyed: lost)
    if failure == .reportedLate { lateReports[path] = receipt.number }
    try await endSync(failure, course)
  }

  private func recordSyncFailure(
    _ one: ArmedFault, _ failure: SyncFailure, _ course: Course, destroyed: [FileRange] = [], entries: [String] = []
  ) -> StorageFaultReceipt {
    let isLate = failure == .reportedLate
    return record(
      one, course, destroyed: destroyed, entries: entries, answer: isLate ? .falseSuccess : .error(EIO),
      isLate ? .hidden : .reported, detail: failure.rawValue)
  }

  private func endSync(_ failure: SyncFailure, _ course: Course) async throws(StorageError) {
    try await pause(course.call)
    if failure != .reportedLate { throw error(.errno(EIO), course.call) }
  }
}
