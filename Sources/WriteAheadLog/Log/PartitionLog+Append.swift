import Glibc
import LogModel
import Storage

extension PartitionLog {
  /// Appends one batch and returns its base offset once it is acknowledged under the sync policy.
  ///
  /// - Parameters:
  ///   - recordCount: at least 1.
  ///   - payloadBytes: keys and values together; `write` must write exactly so many records of so many bytes.
  /// - Throws: `LogError`. Unless `isCertainFailure`, the batch may be there after a restart.
  public func append(
    recordCount: Int, payloadBytes: Int, _ write: (inout RecordWriter) -> Void
  ) async throws(LogError) -> Offset {
    loop.assertOwned()
    guard recordCount > 0 else { throw .emptyBatch }
    let length = RecordFormat.batchLength(recordCount: recordCount, payload: payloadBytes)
    guard length <= configuration.largestBatch else {
      throw .batchTooLarge(bytes: length, limit: configuration.largestBatch)
    }
    if !roomWaiters.isEmpty || filling.used + length > configuration.commitBytes {
      repeat {
        await withUnsafeContinuation {
          roomWaiters.append($0)
          wakeCommitter()
        }
      } while lifecycle == .open && filling.used + length > configuration.commitBytes
    }
    guard lifecycle == .open else { throw .closed }
    if isFenced { throw .fenced(epoch) }
    let commit = filling
    let start = commit.used
    let base = commit.buffer.base + start
    var writer = RecordWriter(base: base + BatchHeader.size, capacity: length - BatchHeader.size)
    write(&writer)
    precondition(writer.recordCount == recordCount, "the append announced \(recordCount) records")
    let written = BatchHeader.size + writer.byteCount
    precondition(
      RecordFormat.batchLength(recordCount: 0, payload: writer.byteCount) == length, "other bytes than announced")
    memset(base + written, 0, length - written)
    commit.used += length
    let time = loop.now
    let offset = await withUnsafeContinuation { waiter in
      commit.batches.append(
        Commit.Pending(start: start, length: length, recordCount: recordCount, time: time, header: nil, waiter: waiter))
      wakeCommitter()
    }
    guard offset != Commit.refusal else { throw commit.failure ?? .closed }
    return Offset(offset)
  }

  /// Puts a batch that recovery found into the next commit, without anybody waiting for it.
  func requeue(_ header: BatchHeader, _ bytes: UnsafeRawPointer) {
    guard filling.used + header.length <= configuration.commitBytes / 2 else { return }
    (filling.buffer.base + filling.used).copyMemory(from: bytes, byteCount: header.length)
    filling.batches.append(
      Commit.Pending(
        start: filling.used, length: header.length, recordCount: header.recordCount, time: header.time, header: nil,
        waiter: nil, isRequeued: true))
    filling.used += header.length
  }

  /// Lets the commit loop run at the next idle turn, when every producer that is ready has encoded its batch.
  func wakeCommitter() {
    guard let committer else { return }
    self.committer = nil
    loop.resumeWhenIdle(committer)
  }

  func wakeRoomWaiters() {
    let waiting = roomWaiters
    roomWaiters.removeAll(keepingCapacity: true)
    for waiter in waiting { waiter.resume() }
  }
}
