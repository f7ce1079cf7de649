import CZlib
import Storage

/// What a compressed file holds (RFC 1952), read from front to back in two buffers' memory. Where the stream is damaged
/// it ends.
///
/// Only at its end does a stream tell whether all of it was right, and a flipped bit in it can bring records a second
/// time, whole, checksums and all: a copy from what stood before is all that a compressed stream is made of. So nobody
/// takes records from a stream that has not been read to its end once (`readCompressed`).
final class GzipSource: RecordSource {
  // Owned by the loop of its storage.

  private let source: any RecordSource
  private let input: IOBuffer
  private var inputRange = 0..<0
  private let stream: OpaquePointer
  private var hasEnded = false
  /// The stream is cut off, or its checksums do not hold.
  private(set) var isDamaged = false

  init(_ storage: any Storage, _ source: any RecordSource) {
    self.source = source
    input = storage.makeBuffer(capacity: 64 << 10)
    guard let stream = tl_gunzip_begin() else { fatalError("out of memory for a zlib stream") }
    self.stream = stream
  }

  deinit { tl_zstream_end(stream) }

  var unreadableBytes: Int64 { source.unreadableBytes }

  func read(into buffer: IOBuffer, _ range: Range<Int>) async throws(StorageError) -> Int {
    while !hasEnded {
      if inputRange.isEmpty {
        inputRange = 0..<(try await source.read(into: input, 0..<input.capacity))
        if inputRange.isEmpty {
          (hasEnded, isDamaged) = (true, true)
          break
        }
      }
      var (taken, made) = (inputRange.count, range.count)
      let code = tl_zstream_run(
        stream, input.base + inputRange.lowerBound, &taken, buffer.base + range.lowerBound, &made, 0)
      inputRange = inputRange.lowerBound + taken..<inputRange.upperBound
      switch code {
      case Int32(TL_Z_END): hasEnded = true
      case Int32(TL_Z_OK): break
      default: (hasEnded, isDamaged) = (true, true)
      }
      if made > 0 { return made }
    }
    return 0
  }
}
