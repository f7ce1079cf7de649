import Storage

/// Calls a hook before and one after every operation but `close`.
final class HookedStorage: StorageWrapper, @unchecked Sendable {
  var before: ((StorageCall) async throws(StorageError) -> Void)?
  var after: ((StorageCall) async throws(StorageError) -> Void)?

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if let before { try await before(call) }
    let value = try await operation()
    if let after { try await after(call) }
    return value
  }
}
