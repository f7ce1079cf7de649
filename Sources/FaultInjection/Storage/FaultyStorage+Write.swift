import Glibc
import LogModel
import Storage

extension FaultyStorage {
  /// What a write carries.
  struct Payload {
    var buffer: IOBuffer
    var range: Range<Int>

    var count: Int { range.count }

    /// The same bytes in memory of their own, aligned for direct I/O.
    func copy() -> Payload {
      let own = IOBuffer(capacity: count)
      own.mutableBytes(0..<count).copyMemory(from: buffer[range])
      return Payload(buffer: own, range: 0..<count)
    }

    func part(_ part: Range<Int>) -> Payload {
      Payload(buffer: buffer, range: range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound)
    }
  }

  /// One write in the course of its faults.
  struct Store {
    var course: Course
    var file: FileID
    var offset: Int64
    var payload: Payload
    var durability: WriteDurability

    var path: String { course.call.path }
    var target: Range<Int64> { offset..<offset + Int64(payload.count) }

    /// Bytes of the file, from positions in the payload.
    func place(_ part: Range<Int>) -> FileRange {
      FileRange(path, offset + Int64(part.lowerBound)..<offset + Int64(part.upperBound))
    }
  }

  func flip(_ store: inout Store) {
    store.payload = store.payload.copy()
    for hit in store.course.flips {
      let bytes = store.payload.buffer.mutableBytes(store.payload.range)
      let places = candidates(
        hit.armed.planned.fault.place, UnsafeRawBufferPointer(bytes), at: store.offset, triggerByte: hit.byte)
      let bits = hit.armed.flip(bytes, in: places)
      guard !bits.places.isEmpty else {
        hit.armed.release()
        continue
      }
      record(
        hit.armed, store.course, destroyed: bits.places.map { store.place($0..<$0 + 1) }, answer: .falseSuccess,
        .evident,
        detail: bits.detail)
    }
  }

  /// A write as the faults leave it.
  func carryOut(_ store: Store) async throws(StorageError) -> Int {
    if store.durability == .durable, let number = lateReports.removeValue(forKey: store.path) {
      store.course.outcome?.armed.release()
      _ = try await put(store, .volatile)
      try await reportLate(number, store.course)
    }
    guard let hit = store.course.outcome else { return try await put(store) }
    switch hit.armed.planned.fault {
    case .tornWrite(let torn): return try await tear(store, hit, torn)
    case .shortWrite(let count): return try await shorten(store, hit.armed, to: count)
    case .noSpace, .quotaExceeded: return try await refuseSpace(store, hit)
    case .silentNoSpace: return try await storeWhatFits(store, hit)
    case .lostWrite:
      let all = [store.place(0..<store.payload.count)]
      record(hit.armed, store.course, destroyed: all, answer: .falseSuccess, .hidden)
      try await pause(store.course.call)
      return store.payload.count
    case .misdirectedWrite(let misdirection): return try await misdirect(store, hit.armed, misdirection)
    case .syncFailure(let failure): return try await failSync(ofWrite: store, hit.armed, failure)
    case .latentSectorError(let place):
      let taken = try await put(store)
      loseSector(place, hit, store.course, answer: .falseSuccess)
      return taken
    default: return try await put(store)
    }
  }

  // MARK: Faults

  private func tear(_ store: Store, _ hit: Course.Hit, _ torn: TornWrite) async throws(StorageError) -> Int {
    let kept = torn.kept.parts(
      of: store.target, meant: meantBytes(store, hit.armed.planned), triggerByte: hit.byte, &hit.armed.random)
    let rest = complement(of: kept, in: store.payload.count)
    let answer: StorageFaultReceipt.Answer =
      switch torn.answer {
      case .success: .falseSuccess
      case .error: .error(EIO)
      case .crash: .none
      }
    // Told that it failed, and with older bytes where it did: of what anybody was promised nothing is gone.
    let destroyed = torn.answer == .error && torn.rest == .old ? [] : rest.map(store.place)
    let isHidden = torn.answer == .success && torn.rest == .old && kept.isEmpty
    let keptBytes = kept.reduce(0) { $0 + $1.count }
    let receipt = record(
      hit.armed, store.course, destroyed: destroyed, answer: answer,
      torn.answer == .error ? .reported : isHidden ? .hidden : .evident,
      detail: "kept \(keptBytes) of \(store.payload.count) bytes, the rest \(torn.rest.rawValue)")
    let durability = torn.answer == .crash ? .durable : store.durability
    if torn.rest == .old {
      for part in kept { try await putWhole(store, part, durability) }
    } else {
      var filled = store
      filled.payload = store.payload.copy()
      for part in rest {
        let bytes = filled.payload.buffer.mutableBytes(filled.payload.part(part).range)
        if torn.rest == .zero { bytes.initializeMemory(as: UInt8.self, repeating: 0) } else { hit.armed.fill(bytes) }
      }
      try await putWhole(filled, 0..<filled.payload.count, durability)
    }
    switch torn.answer {
    case .success: break
    case .error: throw error(.errno(EIO), store.course.call)
    case .crash:
      if !isCut { crash(receipt) }
      throw lost(store.course.call)
    }
    if kept.isEmpty { try await pause(store.course.call) }
    return store.payload.count
  }

  private func shorten(_ store: Store, _ one: ArmedFault, to count: Int?) async throws(StorageError) -> Int {
    let block = isDirect(store.file) ? properties.blockSize : 1
    let most = (store.payload.count - 1) / block
    let blocks = count.map { min(max($0 / block, 1), most) } ?? Int.random(in: 1...most, using: &one.random)
    record(one, store.course, answer: .short(blocks * block), .reported)
    return try await put(store, part: 0..<blocks * block)
  }

  /// How many bytes there is room for.
  private func room(_ store: Store, _ hit: Course.Hit) -> Int {
    let room = min(hit.byte ?? 0, store.payload.count)
    return isDirect(store.file) ? room / properties.blockSize * properties.blockSize : room
  }

  private func refuseSpace(_ store: Store, _ hit: Course.Hit) async throws(StorageError) -> Int {
    let fits = room(store, hit)
    if fits > 0 {
      record(hit.armed, store.course, answer: .short(fits), .reported, detail: "the write that fills the disk")
      // The condition stays met: what follows is refused, and that is what counts.
      hit.armed.releaseIfCounted()
      return try await put(store, part: 0..<fits)
    }
    let number = hit.armed.planned.fault.descriptor.errno ?? ENOSPC
    record(hit.armed, store.course, answer: .error(number), .reported)
    try await pause(store.course.call)
    throw error(.errno(number), store.course.call)
  }

  private func storeWhatFits(_ store: Store, _ hit: Course.Hit) async throws(StorageError) -> Int {
    let fits = room(store, hit)
    record(
      hit.armed, store.course, destroyed: [store.place(fits..<store.payload.count)], answer: .falseSuccess,
      fits > 0 ? .evident : .hidden, detail: "stored \(fits) of \(store.payload.count) bytes")
    if fits > 0 { try await putWhole(store, 0..<fits, store.durability) } else { try await pause(store.course.call) }
    return store.payload.count
  }

  private func misdirect(
    _ store: Store, _ one: ArmedFault, _ misdirection: Misdirection
  ) async throws(StorageError) -> Int {
    let behind = store.offset + Int64(store.payload.count)
    var landing = FileRange(store.path, 0..<0)
    switch misdirection {
    case .sameFile(let distance):
      let start = max(0, store.offset + distance)
      landing.range = (start == store.offset ? behind : start)..<Int64.max
    case .otherFile(let path, let start):
      landing = FileRange(path, max(0, start)..<Int64.max)
    case .anywhere:
      let sectors = (try await base.size(of: store.file) + 511) / 512
      let start = sectors == 0 ? 0 : Int64.random(in: 0..<sectors, using: &one.random) * 512
      landing.range = (start == store.offset ? behind : start)..<Int64.max
    }
    landing.range = landing.range.lowerBound..<landing.range.lowerBound + Int64(store.payload.count)
    // A handle of its own: past the page cache only whole blocks could be hit.
    let file: FileID
    do throws(StorageError) { file = try await base.open(landing.path, [.write]) } catch {
      record(
        one, store.course, destroyed: [store.place(0..<store.payload.count)], answer: .falseSuccess, .hidden,
        detail: "meant for \(landing), which cannot be opened: nothing is stored")
      return store.payload.count
    }
    record(
      one, store.course, destroyed: [store.place(0..<store.payload.count), landing], answer: .falseSuccess, .hidden,
      detail: "landed at byte \(landing.range.lowerBound) of \(landing.path)")
    handles[file] = Handle(path: landing.path, isDirect: false)
    var elsewhere = store
    elsewhere.file = file
    elsewhere.offset = landing.range.lowerBound
    elsewhere.course.call.path = landing.path
    let result: Result<Void, StorageError>
    do throws(StorageError) {
      result = .success(try await putWhole(elsewhere, 0..<store.payload.count, store.durability))
    } catch { result = .failure(error) }
    handles[file] = nil
    await base.close(file)
    try result.get()
    return store.payload.count
  }

  private func complement(of parts: [Range<Int>], in count: Int) -> [Range<Int>] {
    var rest: [Range<Int>] = []
    var at = 0
    for part in parts {
      if at < part.lowerBound { rest.append(at..<part.lowerBound) }
      at = part.upperBound
    }
    if at < count { rest.append(at..<count) }
    return rest
  }
}
