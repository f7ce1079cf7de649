import LogModel

/// One message of an answer. The bytes are valid during the call that shows it.
public struct FetchedMessage {
  public var offset: Offset
  /// Nil for a message without a key.
  public var key: UnsafeRawBufferPointer?
  public var value: UnsafeRawBufferPointer

  @inlinable
  public init(offset: Offset, key: UnsafeRawBufferPointer? = nil, value: UnsafeRawBufferPointer) {
    (self.offset, self.key, self.value) = (offset, key, value)
  }
}

/// What a fetch returned. It is used again: a fetch replaces what was in it.
public protocol FetchedMessages: AnyObject {
  /// The offset to ask for next: the one that was asked for where the answer is empty.
  var nextOffset: Offset { get }

  /// Shows each message that was asked for, in order.
  func forEachMessage(_ body: (FetchedMessage) -> Void)

  /// Shows the first message that was asked for, if there is one.
  func withFirstMessage(_ body: (FetchedMessage) -> Void)

  /// Shows the times of the batches, each with the batch's first offset; nothing where the log keeps none.
  func forEachBatchTime(_ body: (_ base: Offset, _ time: Instant) -> Void)
}

extension FetchedMessages {
  public func forEachBatchTime(_ body: (_ base: Offset, _ time: Instant) -> Void) {}
}

/// The messages of one produce request. The log asks for each of them once, in order.
public protocol OutgoingMessages {
  var count: Int { get }
  /// Bytes of each value.
  var valueBytes: Int { get }
  /// Bytes of all keys together.
  var keyBytes: Int { get }
  /// The key of message `index`, counted from 0; nil where it has none.
  func key(_ index: Int) -> [UInt8]?
  /// Writes the value of message `index` over the whole of `bytes`.
  func writeValue(_ index: Int, into bytes: UnsafeMutableRawBufferPointer)
}

/// Messages of a workload that have no keys, and follow each other.
public struct ContentMessages: OutgoingMessages {
  private let content: MessageContent
  private let first: UInt64
  public let count: Int
  public let valueBytes: Int
  public var keyBytes: Int { 0 }

  /// - Parameters:
  ///   - first: the sequence number of the first message.
  ///   - valueBytes: of each message.
  public init(_ content: MessageContent, first: Int, count: Int, valueBytes: Int) {
    (self.content, self.first, self.count, self.valueBytes) = (content, UInt64(first), count, valueBytes)
  }

  public func key(_ index: Int) -> [UInt8]? { nil }

  public func writeValue(_ index: Int, into bytes: UnsafeMutableRawBufferPointer) {
    content.write(sequence: first + UInt64(index), into: bytes)
  }
}
