import LogModel

/// Writes one line of the persistence trace for every pass, and changes nothing.
public final class TracingStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  public let trace: Trace
  private var isStopped = false

  public init(_ base: any Storage, trace: Trace) {
    self.trace = trace
    super.init(base)
  }

  /// What passes or ends from now on is not traced: the machine is dead.
  public func stop() { isStopped = true }

  private func submitted(_ call: StorageCall) -> UInt64 {
    let traced = TracedOperation(
      kind: call.kind, path: call.path, offset: call.offset, length: call.length, flags: call.flags,
      destination: call.destination, contentHash: call.content.map(hash64) ?? 0,
      payload: trace.keepsPayloads ? call.content.map(Array.init) : nil)
    let number = UInt64(trace.entries.count)
    return trace.append(.submitted(number, traced), at: loop.now)
  }

  public override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if isStopped { return try await operation() }
    let number = submitted(call)
    do {
      let value = try await operation()
      ended(number, traced(value))
      return value
    } catch {
      let code: Int64 = if case .errno(let number) = error.code { -Int64(number) } else { Int64.min }
      ended(number, code)
      throw error
    }
  }

  public override func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    if isStopped { return await operation() }
    let number = submitted(call)
    await operation()
    ended(number, 0)
  }

  private func ended(_ number: UInt64, _ result: Int64) {
    if !isStopped { trace.append(.completed(number, result: result), at: loop.now) }
  }

  public override func note(_ note: TraceNote) {
    if !isStopped { trace.append(.note(note), at: loop.now) }
    super.note(note)
  }
}

/// FNV-1a over 8-byte words: one line of the trace tells two payloads apart without holding them.
func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  var h: UInt64 = 0xCBF2_9CE4_8422_2325
  var at = 0
  while at + 8 <= bytes.count {
    h = (h ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0x100_0000_01B3
    at += 8
  }
  while at < bytes.count {
    h = (h ^ UInt64(bytes[at])) &* 0x100_0000_01B3
    at += 1
  }
  return h
}
