import Glibc
import LogModel
import Storage

/// Applies a plan of faults to what passes the storage interface, on any base.
///
/// Over a `PowerLossStorage` or a `MemoryStorage`, however deep below, failed syncs that mark pages clean reach the
/// account of what is durable; over other bases they show in the answers only, as on a machine that never loses power.
/// What the fault layer answers by itself takes 10 µs on the loop's clock, so that time passes for callers that retry
/// for ever.
public final class FaultyStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  public typealias Observer = @Sendable (StorageFaultReceipt) -> Void

  public let plan: FaultPlan
  /// Everything that has fired, in order.
  public private(set) var receipts: [StorageFaultReceipt] = []
  /// How much of the workload has been done, in percent, as whoever runs it says.
  public var progress = 0.0
  /// Whether a crash fault has fired, or `cut` was called.
  public private(set) var isCut = false

  let armed: [ArmedFault]
  var handles: [FileID: Handle] = [:]
  var readOnly: ReadOnly?
  /// By path: sectors that cannot be read, with the receipt that says why.
  var unreadable: [String: [Int64: Int]] = [:] {
    didSet { if !oldValue.isEmpty || !unreadable.isEmpty { onSectors?(self, nil) } }
  }
  /// Is told when other sectors than before cannot be read, and of bytes that were written into one that still cannot.
  public var onSectors: ((FaultyStorage, _ written: FileRange?) -> Void)?
  /// By path: what stood there before the last write.
  var older: [String: UndoLog.Layer] = [:]
  let remembersOlder: Bool
  var unsynced: [String: UnsyncedRanges] = [:]
  let tracksUnsynced: Bool
  /// Receipts of syncs whose failure the next sync reports.
  var lateReports: [String: Int] = [:]
  var lateDirectoryReports: [String: Int] = [:]
  private var operations: UInt64 = 0
  var phases = PassPhases()
  /// The one that has been announced.
  public var phase: String { phases.announced }
  /// Tells where batches stand, for faults that are aimed at them.
  public weak var batches: (any BatchLocator)?
  /// Opens when nothing passes any more.
  let end = AsyncEvent()
  private let onFired: Observer?
  let onCrash: Observer?

  struct Handle {
    var path: String
    var isDirect: Bool
  }

  struct ReadOnly {
    var receipt: Int
    var planned: Int
    var until: Instant?
  }

  /// - Parameters:
  ///   - unreadable: bad sectors of 512 bytes, by path, that an earlier life has left; see `unreadableSectors`.
  ///   - onFired: is told each receipt when the fault fires, before the operation ends.
  ///   - onCrash: kills the process, cuts the power of the model, freezes a `PowerLossStorage`. It is called between
  ///     operations of the base; nothing passes after it.
  public init(
    _ base: any Storage, plan: FaultPlan, unreadable: [String: [Int64]] = [:], onFired: Observer? = nil,
    onCrash: Observer? = nil
  ) {
    self.plan = plan
    self.onFired = onFired
    self.onCrash = onCrash
    let start = base.loop.now
    armed = plan.faults.enumerated().map { ArmedFault($1, index: $0, seed: plan.seed, at: start) }
    remembersOlder = plan.faults.contains { $0.fault.kind == .staleRead }
    tracksUnsynced = plan.faults.contains { $0.fault.kind == .syncFailure || $0.fault.descriptor.errno != nil }
    super.init(base)
    for (path, sectors) in unreadable {
      self.unreadable[path] = Dictionary(sectors.map { ($0, -1) }, uniquingKeysWith: { a, _ in a })
    }
  }

  /// What has passed; nil where nobody counts.
  public private(set) var census: PassCensus?

  /// From here on passes are counted.
  public func beginCensus() { census = PassCensus() }

  /// What each fault of the plan was counted for.
  public var matched: [MatchedPasses] { armed.map(\.matched) }

  func takeCensus(_ call: StorageCall, _ phases: PassPhases.OfPass) { census?.count(call, in: phases) }

  /// Indices of the plan's faults that have not fired, ascending.
  public var unfired: [Int] { plan.unfired(receipts) }

  /// Sectors that cannot be read, for the storage of the next life.
  public var unreadableSectors: [String: [Int64]] {
    unreadable.compactMapValues { $0.isEmpty ? nil : $0.keys.sorted() }
  }

  /// Space has been freed past the storage interface: ends faults that last until then.
  public func freeSpace() {
    for one in armed where one.planned.lasting == .untilSpaceFreed { one.freeSpace() }
  }

  /// All faults are over, and every sector can be read again: the device has been replaced, say.
  public func lift() {
    for one in armed { one.lift() }
    readOnly = nil
    unreadable = [:]
    lateReports = [:]
    lateDirectoryReports = [:]
  }

  /// From here on nothing passes; what is stalled for ever ends with `powerLost`.
  public func cut() {
    isCut = true
    end.open()
  }

  // MARK: Receipts

  func keep(_ receipt: StorageFaultReceipt) {
    receipts.append(receipt)
    onFired?(receipt)
    base.note(.fault(receipt.description))
  }

  func nextOperation() -> UInt64 {
    operations += 1
    return operations
  }

  public override func note(_ note: TraceNote) {
    if case .phase(let name) = note { phases.announced = name }
    super.note(note)
  }

  // MARK: Operations

  public override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let course = try begin(StorageCall(.read, path(of: file), file: file, offset: offset, length: range.count))
    return try await perform(course) { () async throws(StorageError) -> Int in
      try await read(file, at: offset, into: buffer, range, in: course)
    }
  }

  public override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let call = StorageCall(
      .write, path(of: file), file: file, offset: offset, length: range.count, flags: durability.rawValue,
      content: buffer[range])
    var store = Store(
      course: try begin(call), file: file, offset: offset, payload: Payload(buffer: buffer, range: range),
      durability: durability)
    if !store.course.flips.isEmpty { flip(&store) }
    return try await perform(store.course) { () async throws(StorageError) -> Int in try await carryOut(store) }
  }

  public override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    let course = try begin(StorageCall(.sync, path(of: file), file: file, flags: scope.rawValue))
    try await perform(course) { () async throws(StorageError) in try await sync(file, scope, in: course) }
  }

  public override func syncDirectory(_ path: String) async throws(StorageError) {
    let course = try begin(StorageCall(.syncDirectory, path))
    try await perform(course) { () async throws(StorageError) in try await syncDirectory(in: course) }
  }

  public override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let course = try begin(StorageCall(.open, path, flags: mode.rawValue))
    let file = try await perform(course) { () async throws(StorageError) -> FileID in try await base.open(path, mode) }
    paths[file] = path
    handles[file] = Handle(path: path, isDirect: mode.contains(.direct) && properties.directIO)
    return file
  }

  public override func close(_ file: FileID) async {
    handles[file] = nil
    await base.close(file)
  }

  public override func size(of file: FileID) async throws(StorageError) -> Int64 {
    let course = try begin(StorageCall(.size, path(of: file), file: file))
    return try await perform(course) { () async throws(StorageError) -> Int64 in try await base.size(of: file) }
  }

  public override func lock(_ file: FileID) async throws(StorageError) {
    let course = try begin(StorageCall(.lock, path(of: file), file: file))
    try await perform(course) { () async throws(StorageError) in try await base.lock(file) }
  }

  public override func linkCount(of file: FileID) async throws(StorageError) -> Int {
    let course = try begin(StorageCall(.linkCount, path(of: file), file: file))
    return try await perform(course) { () async throws(StorageError) -> Int in try await base.linkCount(of: file) }
  }

  public override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    let path = path(of: file)
    let course = try begin(StorageCall(.truncate, path, file: file, offset: size))
    try await perform(course) { () async throws(StorageError) in
      let before = try await base.size(of: file)
      try await base.truncate(file, to: size)
      guard size < before else { return }
      cutKnowledge(path, to: size)
      freeSpace()
    }
  }

  public override func makeDirectory(_ path: String) async throws(StorageError) {
    let course = try begin(StorageCall(.makeDirectory, path))
    try await perform(course) { () async throws(StorageError) in try await base.makeDirectory(path) }
  }

  public override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    let course = try begin(StorageCall(.rename, path, destination: newPath))
    try await perform(course) { () async throws(StorageError) in
      try await base.rename(path, to: newPath)
      moveKnowledge(path, to: newPath)
    }
  }

  public override func unlink(_ path: String) async throws(StorageError) {
    let course = try begin(StorageCall(.unlink, path))
    try await perform(course) { () async throws(StorageError) in
      try await base.unlink(path)
      forgetKnowledge(path)
      freeSpace()
    }
  }

  public override func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    let course = try begin(StorageCall(.list, path))
    return try await perform(course) { () async throws(StorageError) -> [DirectoryEntry] in try await base.list(path) }
  }
}
