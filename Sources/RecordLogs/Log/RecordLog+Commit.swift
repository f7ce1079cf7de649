import Glibc
import LogModel
import Storage

extension RecordLog {
  var isSynchronous: Bool { policy.syncPolicy == .always }

  /// Lets the commit loop run at the next idle turn, when every producer that is ready has encoded its record.
  func wakeCommitter() {
    guard committerWaits else { return }
    if !isLingering || filling.used >= policy.lingerBytes || !roomWaiters.isEmpty { committer.ring() }
  }

  func runCommitLoop() async {
    while true {
      if filling.pending.isEmpty, roomWaiters.isEmpty {
        if !isOpen { break }
        committerWaits = true
        await committer.wait()
        committerWaits = false
        continue
      }
      // Those who have just been answered may have more to say.
      await loop.nextIdleTurn()
      await linger()
      guard !filling.pending.isEmpty else {
        wakeRoomWaiters()
        continue
      }
      let commit = filling
      filling = spare ?? RecordCommit(storage)
      spare = nil
      fillingSince = nil
      wakeRoomWaiters()
      await perform(commit)
      if commit.failure == nil { spare = commit }
    }
    committerEnded.open()
  }

  /// Waits for more records, as long as the policy says.
  private func linger() async {
    guard policy.linger > .zero, let since = fillingSince else { return }
    while isOpen, roomWaiters.isEmpty, filling.used < policy.lingerBytes, loop.now < since + policy.linger {
      (committerWaits, isLingering) = (true, true)
      await committer.wait(until: since + policy.linger)
      (committerWaits, isLingering) = (false, false)
    }
  }

  private func perform(_ commit: RecordCommit) async {
    do throws(RecordLogError) {
      if let poison { throw .poisoned(by: poison) }
      if let refusal = numbering?.refusal { throw refusal }
      if isTorn { try await mend() }
      if policy.syncPolicy != .never, end - durableEnd >= Int64(RecordLogPolicy.eagerBytes) {
        await syncTail()
        if let poison { throw .poisoned(by: poison) }
      }
      if let rotation = policy.rotation, end > Int64(Codec.fileHeader.count),
        end + Int64(commit.used) > rotation.bytes || rotation.age.map({ loop.now >= fileBegun + $0 }) ?? false
      {
        try await rotate()
      }
      // Until all of it is there, and synced where that is promised.
      isTorn = true
      if let numbering { commit.number(by: numbering, file: fileNumber, at: end) }
      do throws(StorageError) {
        try await storage.here().writeWhole(file, files.path(fileNumber), at: end, from: commit.buffer, 0..<commit.used)
      } catch {
        throw .storage(error)
      }
      if isSynchronous { try await syncOrPoison() }
      // A sync of this file failed meanwhile: what is in it cannot be made durable any more.
      if let poison { throw .storage(poison) }
      try await numbering?.confirm()
      isTorn = false
    } catch {
      numbering?.ended(isAcknowledged: false)
      commit.fail(error)
      return
    }
    let at = end
    end += Int64(commit.used)
    if isSynchronous {
      durableEnd = end
    } else if unsyncedSince == nil {
      unsyncedSince = loop.now
      syncer.ring()
    }
    if let numbering {
      numbering.ended(isAcknowledged: true)
    } else {
      storage.note(.acknowledged(TopicPartition(name, PartitionID(fileNumber)), upTo: Offset(end)))
    }
    commit.succeed(file: fileNumber, at: at)
  }

  /// Cuts off what a failed write has left.
  private func mend() async throws(RecordLogError) {
    await syncIdle.wait()
    do throws(StorageError) { try await storage.here().truncate(file, to: end) } catch { throw .storage(error) }
    try await syncOrPoison()
    durableEnd = end
    isTorn = false
  }

  /// Syncs the present file. A failure is the last word on it.
  private func syncOrPoison() async throws(RecordLogError) {
    do throws(StorageError) { try await storage.here().sync(file, .data) } catch {
      poison = error
      throw .storage(error)
    }
  }

  // MARK: Rotation

  /// Goes on to a new file. The old one is on the medium, whatever the policy: damage in it is no torn tail.
  private func rotate() async throws(RecordLogError) {
    if durableEnd < end {
      await syncTail()
      if let poison { throw .poisoned(by: poison) }
    }
    let next: FileID
    do throws(StorageError) {
      next = try await storage.createRecordFile(
        files.path(fileNumber + 1), in: files.directory, header: Codec.fileHeader)
    } catch {
      // Its entry, or its head, will never be durable for certain; recovery makes it anew.
      if error.operation == .sync || error.operation == .syncDirectory { poison = error }
      throw .storage(error)
    }
    await storage.close(file)
    file = next
    fileNumber += 1
    fileBegun = loop.now
    end = Int64(Codec.fileHeader.count)
    durableEnd = end
  }

  // MARK: Syncing under interval

  /// What was acknowledged at *t* must be durable at *t + d*: a sync is submitted d/4 after the first acknowledgement
  /// that it covers, which leaves 3d/4 for the device. An idle tail is synced like any other (H12).
  func runSyncLoop() async {
    if case .interval(let limit) = policy.syncPolicy {
      while isOpen || !committerEnded.isOpen {
        if let since = unsyncedSince {
          let due = since + limit / 4
          if isOpen, loop.now < due {
            await syncer.wait(until: due)
          } else {
            await syncTail()
          }
        } else {
          if !isOpen { break }
          await syncer.wait()
        }
      }
    }
    syncerEnded.open()
  }

  /// Syncs what has been acknowledged so far; covers what had been written when it is submitted (P5).
  func syncTail() async {
    while !syncIdle.isOpen { await syncIdle.wait() }
    unsyncedSince = nil
    guard poison == nil, durableEnd < end else { return }
    syncIdle.shut()
    let covered = end
    do throws(StorageError) {
      try await storage.here().sync(file, .data)
      durableEnd = max(durableEnd, covered)
    } catch {
      poison = error
    }
    syncIdle.open()
  }

  /// Syncs what has been acknowledged so far, before the policy would.
  /// - Throws: `poisoned` where that failed, now or earlier.
  public func sync() async throws(RecordLogError) {
    await syncTail()
    if let poison { throw .poisoned(by: poison) }
  }
}

extension Storage {
  /// Makes a file of a log, on the medium with its header and its entry when this returns. One that is there under this
  /// name holds nothing, and goes.
  @inline(never)
  func createRecordFile(_ path: String, in directory: String, header: [UInt8]) async throws(StorageError) -> FileID {
    let file: FileID
    do throws(StorageError) {
      file = try await here().open(path, [.write, .create, .exclusive])
    } catch {
      guard error.isErrno(EEXIST) else { throw error }
      // A sync of its entry may have failed: it is made anew (`DurableDirectories` says why).
      try await here().unlink(path)
      file = try await here().open(path, [.write, .create, .exclusive])
    }
    do throws(StorageError) {
      if !header.isEmpty {
        let buffer = makeBuffer(capacity: header.count)
        buffer.mutableBytes(0..<header.count).copyBytes(from: header)
        try await here().writeWhole(file, path, at: 0, from: buffer, 0..<header.count)
      }
      try await here().sync(file, .all)
      try await here().syncDirectory(directory)
    } catch {
      await close(file)
      throw error
    }
    return file
  }
}
