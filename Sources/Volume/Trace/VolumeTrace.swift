/// Everything that was done to a volume, in the order in which it took effect. It grows while the volume is used;
/// what it has once answered stays.
package struct VolumeTrace: Sendable {
  private let volume: Volume

  init(_ volume: Volume) { self.volume = volume }

  /// Operations so far.
  package var count: Int { volume.lock.holding { volume.store.count } }

  /// - Parameter sequence: below `count`.
  package subscript(_ sequence: Int) -> VolumeOperation {
    volume.lock.holding { volume.store[sequence].operation(sequence) }
  }

  /// All operations so far, with their names, without their payloads.
  package var operations: [VolumeOperation] {
    volume.lock.holding { (0..<volume.store.count).map { volume.store[$0].operation($0) } }
  }

  /// The operations from a place on.
  package func operations(from first: Int) -> [VolumeOperation] {
    volume.lock.holding {
      (min(first, volume.store.count)..<volume.store.count).map { volume.store[$0].operation($0) }
    }
  }

  /// Calls `body` with an operation's payload, which stays where it is as long as the volume lives: what a write
  /// stored (or would have), a link's target, an attribute's value, a mark's bytes.
  package func withPayload<Result>(of sequence: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
    -> Result
  {
    let bytes = volume.lock.holding { () -> UnsafeRawBufferPointer in
      let record = volume.store[sequence]
      return UnsafeRawBufferPointer(start: record.payload, count: Int(record.payloadCount))
    }
    return try body(bytes)
  }

  package func payload(of sequence: Int) -> [UInt8] { withPayload(of: sequence) { Array($0) } }

  /// What a decider had for it, or nil.
  package func decision(at sequence: Int) -> VolumeDecision? {
    volume.lock.holding { volume.store.decision(at: sequence) }
  }

  /// Which parts of a write reached the storage, in their order: all of it unless a fault was let in. Empty of other
  /// operations.
  package func stored(_ sequence: Int) -> [StoredPiece] {
    volume.lock.holding {
      let record = volume.store[sequence]
      guard record.kind == VolumeOperationKind.write.rawValue, record.payloadCount > 0 else { return [] }
      let decision = volume.store.decision(at: sequence) ?? .proceed
      let isTorn = if case .torn = decision { true } else { false }
      let count = isTorn ? Int(record.payloadCount) : Int(record.answered)
      return decision.pieces(of: count, at: record.offset)
    }
  }
}

extension Volume {
  package var trace: VolumeTrace { VolumeTrace(self) }

  /// Puts in the order that everything that has been done so far is made durable: sync(2) or syncfs(2).
  package func noteSyncAll() {
    lock.holding {
      guard options.records else { return }
      lastSyncAll = add(TraceRecord(.syncAll)) + 1
    }
  }

  /// Puts a record of the caller's in the order, as an acknowledgement for one.
  /// - Returns: its sequence number; -1 where the volume does not record, or memory is not to be had.
  @discardableResult package func mark(_ payload: [UInt8]) -> Int {
    lock.holding {
      guard options.records else { return -1 }
      var record = TraceRecord(.mark)
      carry(payload, in: &record)
      return add(record)
    }
  }
}
