import LogModel
import Storage
import Testing

/// Runs `body` on a simulated loop and fails the test where it does not end.
func simulate<Value: Sendable>(
  seed: UInt64 = 1, _ body: @escaping @Sendable (EventLoop) async throws -> Value
) throws -> Value {
  let loop = EventLoop(simulatedWithSeed: seed)
  return try simulate(on: loop) { try await body(loop) }
}

func simulate<Value: Sendable>(
  on loop: EventLoop, _ body: @escaping @Sendable () async throws -> Value
) throws -> Value {
  let (ending, value) = loop.run { () -> Result<Value, any Error> in
    do { return .success(try await body()) } catch { return .failure(error) }
  }
  #expect(ending == .finished)
  return try #require(value).get()
}

/// State of a test that its tasks share. Owned by the test's loop.
final class Shared<Value>: @unchecked Sendable {
  var value: Value
  init(_ value: Value) { self.value = value }
}

extension Storage {
  @discardableResult
  func write(
    _ file: FileID, _ bytes: [UInt8], at offset: Int64, _ durability: WriteDurability = .volatile
  ) async throws(StorageError) -> Int {
    let buffer = makeBuffer(capacity: bytes.count)
    buffer.mutableBytes(0..<bytes.count).copyBytes(from: bytes)
    return try await write(file, at: offset, from: buffer, 0..<bytes.count, durability)
  }

  func read(_ file: FileID, _ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8] {
    let buffer = makeBuffer(capacity: count)
    let n = try await read(file, at: offset, into: buffer, 0..<count)
    return Array(buffer[0..<n])
  }
}

func bytes(_ count: Int, _ value: UInt8) -> [UInt8] { [UInt8](repeating: value, count: count) }
