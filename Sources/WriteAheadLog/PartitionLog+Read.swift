import LogModel
import Storage

extension PartitionLog {
  /// Fetches from `offset` on: at least one batch where there is one, more up to `maxBytes`. Empty at the high watermark.
  ///
  /// - Throws: `LogError.offsetOutOfRange` below the log start offset and above the high watermark;
  ///   `LogError.damaged` where the offset is among what recovery reported: go on at the range's end.
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
    response.reset(first: offset, end: end)
    if let range = damage.first(where: { $0.from <= offset && offset < $0.to }) { throw .damaged(range) }
    var index = batchLimit == nil ? segments.lastIndex { $0.baseOffset <= offset } ?? 0 : 0
    var budget = batchLimit
    while segments.indices.contains(index), response.isEmpty, budget != 0 {
      let segment = segments[index]
      let start = budget == nil ? segment.index.position(atOrBefore: offset) : nil
      try await read(
        segment, from: start ?? Int64(SegmentHeader.size), offset: offset, below: end, maxBytes: maxBytes,
        budget: &budget, into: response)
      index += 1
    }
    keepContiguous(response)
    // What is visible and undamaged must be there; if it is not, it was damaged after recovery.
    guard batchLimit == nil, response.batches.first.map({ $0.header.baseOffset > offset }) ?? true else { return }
    let segment = segments.last { $0.baseOffset <= offset }
    throw .invalidBatch(path: segment?.path ?? directory, at: segment?.index.position(atOrBefore: offset) ?? 0, offset: offset)
  }

  private func read(
    _ segment: Segment, from start: Int64, offset: Offset, below end: Offset, maxBytes: Int, budget: inout Int?,
    into response: FetchResponse
  ) async throws(LogError) {
    var at = start
    var wanted = max(min(maxBytes, 256 << 10), 4096)
    reading: while at < segment.dataEnd {
      let count = Int(min(Int64(wanted), segment.dataEnd - at))
      response.reserve(count)
      let got: Int
      do throws(StorageError) {
        got = try await storage.readRetrying(segment.reader, at: at, into: response.memory, 0..<count)
      } catch {
        throw .storage(error)
      }
      let base = UnsafeRawPointer(response.memory.base)
      var here = 0
      while here < got {
        guard let header = BatchHeader(at: base + here, position: at + Int64(here), available: got - here) else {
          // Padding runs to a block boundary; anything else before the end of the data is damage.
          let boundary = (at + Int64(here) + 512) / 512 * 512
          if got - here < BatchHeader.size, at + Int64(got) < segment.dataEnd {
            break  // cut off by the end of this read
          }
          if boundary >= segment.dataEnd { break reading }
          here = Int(boundary - at)
          continue
        }
        if header.length > got - here {
          guard header.length <= LogConfiguration.largestCommit, at + Int64(here + header.length) <= segment.dataEnd else {
            throw .invalidBatch(path: segment.path, at: header.position, offset: header.baseOffset)
          }
          if response.isEmpty { wanted = max(wanted, header.length + 4096) }
          break
        }
        if header.baseOffset >= end { break reading }
        guard parts.validator.isIntact(header, at: base + here, salt: segment.header.salt) else {
          throw .invalidBatch(path: segment.path, at: header.position, offset: header.baseOffset)
        }
        if header.nextOffset > offset {
          response.batches.append(FetchResponse.Batch(header: header, start: here))
        }
        here += header.length
        if budget != nil {
          budget! -= 1
          if budget == 0 { break reading }
        }
      }
      if !response.isEmpty { break }
      if here == 0 && got < count { break }
      at += Int64(here)
    }
  }

  /// Leaves only the batches up to the first gap or leftover: the next fetch then meets it by its offset.
  private func keepContiguous(_ response: FetchResponse) {
    for index in response.batches.indices.dropFirst()
    where response.batches[index].header.baseOffset != response.batches[index - 1].header.nextOffset {
      response.batches.removeSubrange(index...)
      return
    }
  }
}
