/// Memory that is only ever added to: the payloads and names of the trace, and its records.
struct TraceArena {
  /// Bytes given out.
  private(set) var used = 0

  private let memory: VolumeMemory
  /// What has been taken of the memory, and how many of these are in use, or were.
  private var segments: [UnsafeMutableRawPointer] = []
  private var usedSegments = 0
  private var cursor = UnsafeMutableRawPointer(bitPattern: 8)!
  private var room = 0

  init(_ memory: VolumeMemory) { self.memory = memory }

  /// Room for `count` bytes, whose address leaves the remainder `phase` (0 to 7) when divided by 8; nil where there
  /// is none. The phase is a write's offset: the pages of it are then at even addresses, and the file can share them.
  /// - Parameter count: at most a segment less 8.
  mutating func allocate(_ count: Int, phase: Int = 0) -> UnsafeMutableRawPointer? {
    let start = cursor + phase
    let end = (phase + count + 7) & ~7
    if end <= room {
      cursor += end
      room -= end
      used += end
      return start
    }
    guard end <= VolumeMemory.segmentSize, let segment = nextSegment() else { return nil }
    used += room
    cursor = segment
    room = VolumeMemory.segmentSize
    return allocate(count, phase: phase)
  }

  private mutating func nextSegment() -> UnsafeMutableRawPointer? {
    if usedSegments == segments.count {
      guard let segment = memory.segment() else { return nil }
      segments.append(segment)
    }
    usedSegments += 1
    return segments[usedSegments - 1]
  }

  /// Gives everything back, to be allocated again.
  mutating func rewind() {
    (used, usedSegments, room) = (0, 0, 0)
    cursor = UnsafeMutableRawPointer(bitPattern: 8)!
  }

  /// Counts bytes that are kept elsewhere.
  mutating func count(_ bytes: Int) { used += bytes }

  /// A copy of bytes that stays.
  mutating func keep(_ bytes: UnsafeRawBufferPointer, phase: Int = 0) -> UnsafeMutableRawPointer? {
    guard let made = allocate(bytes.count, phase: phase) else { return nil }
    if let base = bytes.baseAddress { made.copyMemory(from: base, byteCount: bytes.count) }
    return made
  }
}
