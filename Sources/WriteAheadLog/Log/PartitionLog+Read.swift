import Glibc
import LogModel
import Storage

extension PartitionLog {
  /// Fetches from `offset` on: at least one batch where there is one, more up to `maxBytes`. Empty at the high
  /// watermark.
  ///
  /// - Throws: `LogError.offsetOutOfRange` below the log start offset and above the high watermark;
  ///   `LogError.damaged` where the offset is among what recovery reported, or its batch cannot be read any more: go on
  ///   at the range's end.
  public func fetch(from offset: Offset, maxBytes: Int, into response: FetchResponse) async throws(LogError) {
    loop.assertOwned()
    guard lifecycle != .closed else { throw .closed }
    guard offset >= logStartOffset, offset <= highWatermark else {
      throw .offsetOutOfRange(offset, start: logStartOffset, end: highWatermark)
    }
    let visible = highWatermark
    response.reset(first: offset, end: visible)
    if offset == visible { return }
    let plan = parts.planner.plan(
      FetchRequest(offset: offset, logStartOffset: logStartOffset, highWatermark: visible, recent: recent))
    switch plan {
    case .recent(let batch): copyRecent(from: batch, below: visible, maxBytes: maxBytes, into: response)
    case .log: try await readLog(from: offset, below: visible, maxBytes: maxBytes, batchLimit: nil, into: response)
    case .logStart(let limit):
      try await readLog(from: offset, below: visible, maxBytes: maxBytes, batchLimit: limit, into: response)
    }
  }

  private func copyRecent(from first: Int, below end: Offset, maxBytes: Int, into response: FetchResponse) {
    var last = first
    var bytes = 0
    while last < recent.count, recent.header(last).baseOffset < end,
      last == first || bytes + recent.header(last).length <= maxBytes
    {
      bytes += recent.header(last).length
      last += 1
    }
    response.reserve(bytes)
    var at = 0
    for index in first..<last {
      let header = recent.header(index)
      (response.memory.base + at).copyMemory(from: recent.bytes(index), byteCount: header.length)
      response.batches.append(FetchResponse.Batch(header: header, start: at))
      at += header.length
    }
  }

  /// - Parameter batchLimit: nil: begin at the index entry at or before `offset` and read until the batches asked for
  ///   have come. Otherwise: begin at the first byte of the log and read so many batches, whatever they are.
  func readLog(
    from offset: Offset, below end: Offset, maxBytes: Int, batchLimit: Int?, into response: FetchResponse
  ) async throws(LogError) {
    if let range = damage.first(where: { $0.from <= offset && offset < $0.to }) { throw .damaged(range) }
    var cursor = ReadCursor(offset: offset, end: end, maxBytes: maxBytes, budget: batchLimit)
    // What is visible and undamaged must be there. If it is not, it may have been misread: once more.
    for _ in 0..<2 {
      cursor.budget = batchLimit
      cursor.found = nil
      response.reset(first: offset, end: end)
      try await read(&cursor, into: response)
      if !response.isEmpty || batchLimit != nil { return }
    }
    guard offset >= logStartOffset else { throw .offsetOutOfRange(offset, start: logStartOffset, end: highWatermark) }
    // Nor is it there now: it was damaged after recovery. The next batch that can be read ends the damage.
    let segment = segments.last { $0.baseOffset <= offset }
    throw .damaged(
      DamagedRange(
        from: offset, to: min(cursor.found ?? end, end), path: segment?.path ?? directory,
        byteFrom: segment?.index.position(atOrBefore: offset) ?? 0, byteTo: segment?.dataEnd ?? 0))
  }

  /// A fetch on its way through the segments.
  private struct ReadCursor {
    let offset: Offset
    let end: Offset
    let maxBytes: Int
    /// Batches still to read, where only their number counts.
    var budget: Int?
    /// Base offset of the first valid batch after `offset`, where that one's own was passed without being found.
    var found: Offset?
  }

  private func read(_ cursor: inout ReadCursor, into response: FetchResponse) async throws(LogError) {
    // Segments may come and go while this fetch waits for one of them.
    let segments = self.segments
    let offset = cursor.offset
    var index = cursor.budget == nil ? segments.lastIndex { $0.baseOffset <= offset } ?? 0 : 0
    while segments.indices.contains(index), response.isEmpty, cursor.found == nil, cursor.budget != 0 {
      let segment = segments[index]
      let entry = cursor.budget == nil ? parts.lookup.entry(for: offset, in: segment.index) : nil
      let start = entry.map(segment.index.position(of:))
      // Offsets from the next segment's base on are that segment's: what stands here is a leftover.
      let limit = segments.indices.contains(index + 1) ? segments[index + 1].baseOffset : nil
      let failure: LogError?
      do throws(StorageError) {
        let file = try await acquire(segment)
        do throws(LogError) {
          try await read(segment, file, from: start ?? Int64(SegmentHeader.size), limit: limit, &cursor, into: response)
          failure = nil
        } catch {
          failure = error
        }
        await release(segment)
      } catch {
        failure = offset < logStartOffset ? nil : .storage(error)
      }
      if let failure { throw failure }
      index += 1
    }
  }

  /// - Returns: how many bytes of the segment stand in the response's memory.
  private func load(
    _ count: Int, of segment: Segment, _ file: FileID, at position: Int64, into response: FetchResponse,
    _ unreadable: inout [Range<Int64>]
  ) async throws(LogError) -> Int {
    response.reserve(count)
    do throws(StorageError) {
      let got = try await storage.readAround(
        file, at: position, into: response.memory, 0..<count, .serving, &unreadable)
      if !unreadable.isEmpty { unreadablePaths.insert(segment.path) }
      return got
    } catch {
      throw .storage(error)
    }
  }

  /// Reads one segment from `start`. Bytes that are no valid batch are passed over, as recovery does: it is a batch's
  /// own bytes that decide whether it is served, not its neighbours'.
  private func read(
    _ segment: Segment, _ file: FileID, from start: Int64, limit: Offset?, _ cursor: inout ReadCursor,
    into response: FetchResponse
  ) async throws(LogError) {
    var at = start
    var wanted = max(min(cursor.maxBytes, 256 << 10), 4096)
    var due = segment.baseOffset
    var unreadable: [Range<Int64>] = []
    while at + Int64(BatchHeader.size) <= segment.dataEnd {
      let count = Int(min(Int64(wanted), segment.dataEnd - at))
      let got = try await load(count, of: segment, file, at: at, into: response, &unreadable)
      let base = UnsafeRawPointer(response.memory.base)
      var here = 0
      var cutOff: Int?
      while here + BatchHeader.size <= got {
        let position = at + Int64(here)
        guard var header = BatchHeader(at: base + here, position: position, available: got - here),
          header.length <= LogConfiguration.largestCommit, position + Int64(header.length) <= segment.dataEnd
        else {
          here += BatchHeader.alignment
          continue
        }
        if header.length > got - here, got == count {
          cutOff = header.length
          break
        }
        guard header.length <= got - here, parts.validator.isIntact(header, at: base + here, salt: segment.header.salt)
        else {
          here += BatchHeader.alignment
          continue
        }
        guard let first = parts.reading.baseOffset(ofFetched: header, at: base + here, salt: segment.header.salt) else {
          here += header.length
          continue
        }
        header.baseOffset = first
        if cursor.budget == nil, header.baseOffset < due || limit.map({ header.nextOffset > $0 }) ?? false {
          here += header.length
          continue
        }
        if header.baseOffset >= cursor.end { return }
        due = header.nextOffset
        if header.nextOffset > cursor.offset {
          if let last = response.batches.last {
            // A gap ends the answer: the next fetch meets it by its offset.
            if header.baseOffset != last.header.nextOffset { return }
          } else if header.baseOffset > cursor.offset, cursor.budget == nil {
            cursor.found = header.baseOffset
            return
          }
          response.batches.append(FetchResponse.Batch(header: header, start: here))
        }
        here += header.length
        if cursor.budget != nil {
          cursor.budget! -= 1
          if cursor.budget == 0 { return }
        }
      }
      if !response.isEmpty { return }
      if let cutOff {
        wanted = max(wanted, cutOff + 4096)
      } else if here == 0 {
        return
      }
      at += Int64(here)
    }
  }
}
