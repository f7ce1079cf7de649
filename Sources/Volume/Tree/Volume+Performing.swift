import Glibc

extension Volume {
  /// Carries out an operation that is neither a write nor a sync: asks the decider, runs the body unless it is
  /// refused, and records it with its answer.
  /// - Parameters:
  ///   - record: with its operands; the body fills in what only it knows.
  ///   - name: in the record's directory, or the name of an attribute.
  ///   - newName: in the record's new directory.
  /// - Returns: 0, or the errno to answer.
  func perform(
    _ record: TraceRecord, name: [UInt8]? = nil, newName: [UInt8]? = nil,
    _ body: (inout TraceRecord) throws(VolumeErrno) -> Void
  ) -> Int32 {
    lock.take()
    defer { lock.give() }
    var record = record
    let decision = decide(record, name: record.directory == 0 ? nil : name, newName: newName)
    let kind = VolumeOperationKind(rawValue: record.kind)!
    if case .fail(let code) = decision {
      record.error = code
    } else if storedReadOnly, !kind.isRead, !kind.isAllowedReadOnly {
      record.error = EROFS
    } else {
      do throws(VolumeErrno) { try body(&record) } catch { record.error = error.code }
      if record.error == 0, case .failAfter(let code) = decision { record.error = code }
    }
    if options.records, !kind.isRead || options.recordsReads {
      add(record, name ?? [], newName ?? [], decision == .proceed ? nil : decision)
    }
    return record.error
  }

  /// Adds a record to the trace.
  /// - Returns: its sequence number, or -1 where it was not kept.
  @discardableResult func add(
    _ record: TraceRecord, _ name: [UInt8] = [], _ newName: [UInt8] = [], _ decision: VolumeDecision? = nil
  ) -> Int {
    var record = record
    let isKept = name.isEmpty && newName.isEmpty || store.keep(name, newName, in: &record)
    let sequence = isKept ? store.append(record, decision) : -1
    if sequence < 0 { lostRecords += 1 }
    return sequence
  }

  /// Keeps a record's payload. Where there is no memory the record has none, and counts as lost.
  func carry(_ bytes: [UInt8], in record: inout TraceRecord) {
    guard options.records, !bytes.isEmpty else { return }
    guard let kept = bytes.withUnsafeBytes({ store.arena.keep($0) }) else {
      lostRecords += 1
      return
    }
    record.payload = UnsafeRawPointer(kept)
    record.payloadCount = UInt32(bytes.count)
  }
}

extension VolumeOperationKind {
  /// What a file system that was remounted read-only still answers with success.
  var isAllowedReadOnly: Bool {
    switch self {
    case .open, .flush, .release, .sync, .syncWritten, .syncDirectory, .mark: true
    default: false
    }
  }
}
