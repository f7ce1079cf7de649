import Glibc
import LogModel
import Storage

extension FaultyStorage {
  /// A read as the faults leave it.
  func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>, in course: Course
  ) async throws(StorageError) -> Int {
    let call = course.call
    if let hit = course.outcome, case .latentSectorError(let place) = hit.armed.planned.fault {
      loseSector(place, hit, course, answer: .error(EIO))
      releaseFlips(course)
      try await pause(call)
      throw error(.errno(EIO), call)
    }
    try await refuseUnreadable(course)
    let range = shortened(range, course)
    let got = try await base.read(file, at: offset, into: buffer, range)
    noteShort(got, range, course)
    let bytes = buffer.mutableBytes(range.lowerBound..<range.lowerBound + got)
    if let hit = course.outcome, case .staleRead = hit.armed.planned.fault { makeStale(bytes, hit.armed, course) }
    for hit in course.flips { flip(bytes, hit, course) }
    return got
  }

  /// What a short read asks the base for: the bytes behind it must not reach the caller's buffer.
  private func shortened(_ range: Range<Int>, _ course: Course) -> Range<Int> {
    guard let hit = course.outcome, case .shortRead(let wanted) = hit.armed.planned.fault else { return range }
    let unit = isDirect(course.call.file) ? properties.blockSize : 1
    let most = (range.count - 1) / unit
    let units = wanted.map { min(max($0 / unit, 1), most) } ?? Int.random(in: 1...most, using: &hit.armed.random)
    return range.lowerBound..<range.lowerBound + units * unit
  }

  /// A file that ends before has made the read short by itself: the fault has not fired.
  private func noteShort(_ got: Int, _ range: Range<Int>, _ course: Course) {
    guard let hit = course.outcome, case .shortRead = hit.armed.planned.fault else { return }
    if got < range.count { return hit.armed.release() }
    record(hit.armed, course, answer: .short(got), .reported)
  }

  private func releaseFlips(_ course: Course) {
    for hit in course.flips { hit.armed.release() }
  }

  private func flip(_ bytes: UnsafeMutableRawBufferPointer, _ hit: Course.Hit, _ course: Course) {
    let candidates = candidates(
      hit.armed.planned.fault.place, UnsafeRawBufferPointer(bytes), at: course.call.offset, triggerByte: hit.byte)
    let flipped = hit.armed.flip(bytes, in: candidates)
    guard !flipped.places.isEmpty else { return hit.armed.release() }
    let offset = course.call.offset
    let places = flipped.places.map { FileRange(course.call.path, offset + Int64($0)..<offset + Int64($0) + 1) }
    record(hit.armed, course, misread: places, answer: .falseSuccess, .evident, detail: flipped.detail)
  }

  private func makeStale(_ bytes: UnsafeMutableRawBufferPointer, _ one: ArmedFault, _ course: Course) {
    let (path, offset) = (course.call.path, course.call.offset)
    let read = offset..<offset + Int64(bytes.count)
    var places: [FileRange] = []
    for entry in older[path]?.entries ?? [] where entry.range.overlaps(read) {
      let part = entry.cut(to: entry.range.clamped(to: read))
      let at = Int(part.range.lowerBound - offset)
      let target = UnsafeMutableRawBufferPointer(rebasing: bytes[at..<at + part.range.count])
      if let old = part.old {
        target.copyBytes(from: old)
      } else {
        target.initializeMemory(as: UInt8.self, repeating: 0)
      }
      places.append(FileRange(path, part.range))
    }
    if places.isEmpty { return one.release() }
    record(one, course, misread: places, answer: .falseSuccess, .hidden, detail: "what was there before the last write")
  }

  // MARK: Latent sector errors

  /// A sector of the pass goes bad.
  func loseSector(
    _ place: BytePlace, _ hit: Course.Hit, _ course: Course, answer: StorageFaultReceipt.Answer
  ) {
    let call = course.call
    guard let bytes = place.choose(in: call.length, triggerByte: hit.byte) else { return hit.armed.release() }
    var places = [call.offset + Int64(bytes.lowerBound)..<call.offset + Int64(bytes.upperBound)]
    if hit.armed.planned.trigger.target == .batch, let batches {
      places = batches.messages(in: FileRange(call.path, places[0]))
    }
    guard let place = places.randomElement(using: &hit.armed.random) else { return hit.armed.release() }
    let sector = Int64.random(in: place, using: &hit.armed.random) / 512
    let receipt = record(
      hit.armed, course, destroyed: [FileRange(call.path, sector * 512..<(sector + 1) * 512)], answer: answer,
      .reported,
      detail: "sector \(sector)")
    unreadable[call.path, default: [:]][sector] = receipt.number
  }

  private func refuseUnreadable(_ course: Course) async throws(StorageError) {
    let call = course.call
    guard let bad = unreadable[call.path], !bad.isEmpty, call.length > 0 else { return }
    let touched = call.offset / 512...(call.offset + Int64(call.length) - 1) / 512
    guard let sector = bad.keys.filter(touched.contains).min(), let number = bad[sector] else { return }
    course.outcome?.armed.release()
    releaseFlips(course)
    let planned = receipts.indices.contains(number) ? receipts[number].planned : -1
    record(
      planned, .latentSectorError, course, answer: .error(EIO), .reported, follows: number, detail: "sector \(sector)")
    try await pause(call)
    throw error(.errno(EIO), call)
  }
}
