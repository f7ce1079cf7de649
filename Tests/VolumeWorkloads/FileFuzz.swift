import CVolumeCalls
import Glibc

/// Random operations on the content of a file, as fsx makes them, in two places.
package struct FileFuzz {
  private static let largest = 1 << 19

  private var sides: SideBySide
  private var dice: Dice
  private var files: [String: Int32] = [:]
  private let name: String
  private var buffer = [UInt8](repeating: 0, count: 1 << 17)
  private let isDirect: Bool
  private let modes: [Int32]
  /// Operations so far.
  package private(set) var count = 0

  package init(volume: String, trusted: String, seed: UInt64) {
    sides = SideBySide(volume: volume, trusted: trusted)
    dice = Dice(seed)
    name = "/fuzz-\(seed)"
    // What the trusted folder's file system cannot do is not compared.
    let probe = trusted + "/probe-\(seed)"
    let file = open(probe, O_RDWR | O_CREAT, 0o600)
    defer {
      close(file)
      unlink(probe)
    }
    // 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE with and without the size.
    modes = [0, 1, 3, 16, 17].filter { tl_fallocate(file, $0, 0, 4096) == 0 }
    let direct = tl_open_direct(probe, O_RDWR)
    isDirect = direct >= 0
    if direct >= 0 { close(Int32(direct)) }
  }

  /// Makes so many operations; compares the content after every few.
  package mutating func run(_ operations: Int) throws(Difference) {
    try reopen(flags: O_CREAT)
    for step in 1...operations {
      try step % 50 == 0 ? compare() : operate()
      count += 1
    }
    try compare()
    for file in files.values { close(file) }
    _ = try sides.both("unlink") { [name] in answer(unlink($0 + name)) }
  }

  private mutating func reopen(flags: Int32) throws(Difference) {
    for file in files.values { close(file) }
    var opened: [String: Int32] = [:]
    let name = name
    try sides.both("open \(flags)") { place in
      let file = open(place + name, O_RDWR | O_CLOEXEC | flags, 0o644)
      opened[place] = file
      return answer(file < 0 ? file : 0)
    }
    files = opened
  }

  private mutating func operate() throws(Difference) {
    let offset = dice(Self.largest)
    let count = 1 + (dice(3) == 0 ? dice(70_000) : dice(5_000))
    let files = files
    switch dice(20) {
    case 0...5: try write(offset, count)
    case 6, 7: try writeDirect(offset & ~4095, (count + 4095) & ~4095)
    case 8, 9:
      try sides.both("truncate \(offset)") { answer(ftruncate(files[$0]!, off_t(offset))) }
    case 10...12: try allocate(offset, count)
    case 13, 14: try storeMapped(offset)
    case 15:
      let to = dice(Self.largest)
      try sides.both("copy_file_range \(offset) to \(to), \(count)") {
        tl_copy_range(files[$0]!, Int64(offset), files[$0]!, Int64(to), count)
      }
    case 16: try sides.both("fsync") { answer(fsync(files[$0]!)) }
    case 17: try reopen(flags: dice(8) == 0 ? O_TRUNC : dice(2) == 0 ? O_APPEND : dice(2) == 0 ? O_DSYNC : 0)
    case 18: try read(offset, count)
    default: try dropCaches()
    }
  }

  private mutating func fill(_ count: Int) {
    let start = UInt8(truncatingIfNeeded: dice(256))
    for place in 0..<count { buffer[place] = start &+ UInt8(truncatingIfNeeded: place &* 7) }
  }

  private mutating func write(_ offset: Int, _ count: Int) throws(Difference) {
    fill(count)
    let (files, buffer) = (files, buffer)
    try sides.both("pwrite \(offset), \(count)") { answer(pwrite(files[$0]!, buffer, count, off_t(offset))) }
  }

  private mutating func writeDirect(_ offset: Int, _ count: Int) throws(Difference) {
    guard isDirect else { return try write(offset, count) }
    fill(count)
    let (name, buffer) = (name, buffer)
    try sides.both("pwrite O_DIRECT \(offset), \(count)") { place in
      let file = tl_open_direct(place + name, O_RDWR)
      if file < 0 { return file }
      defer { close(Int32(file)) }
      return Self.aligned(count) { room in
        room.copyBytes(from: buffer.prefix(count))
        return answer(pwrite(Int32(file), room.baseAddress!, count, off_t(offset)))
      }
    }
  }

  private static func aligned<Result>(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
    defer { room.deallocate() }
    return body(room)
  }

  private mutating func allocate(_ offset: Int, _ count: Int) throws(Difference) {
    if modes.isEmpty { return }
    let mode = modes[dice(modes.count)]
    let files = files
    try sides.both("fallocate \(mode) \(offset), \(count)") {
      -Int64(tl_fallocate(files[$0]!, mode, Int64(offset), Int64(count)))
    }
  }

  private mutating func storeMapped(_ offset: Int) throws(Difference) {
    let (name, value) = (name, UInt8(dice(256)))
    let how = Int32([0, 1, 1, 2][dice(4)])
    try sides.both("store \(value) at \(offset), mapped") { place in
      var status = stat()
      stat(place + name, &status)
      guard status.st_size > 0 else { return 0 }
      let file = open(place + name, O_RDWR)
      defer { close(file) }
      let at = Int64(offset % Int(status.st_size))
      return tl_store_mapped(file, Int(status.st_size), [at], 1, value, how)
    }
  }

  private mutating func read(_ offset: Int, _ count: Int) throws(Difference) {
    let files = files
    var bytes: [[UInt8]] = []
    try sides.both("pread \(offset), \(count)") { place in
      var into = [UInt8](repeating: 0, count: count)
      let got = pread(files[place]!, &into, count, off_t(offset))
      bytes.append(into)
      return answer(got)
    }
    if bytes[0] != bytes[1] { throw sides.difference("reads other bytes") }
  }

  private mutating func dropCaches() throws(Difference) {
    let files = files
    // Dirty pages stay; those of the volume are written through anyway.
    try sides.both("drop the cache") { place in
      fsync(files[place]!)
      return tl_advise_drop(files[place]!)
    }
  }

  /// Size, all bytes as the cache has them, and as the volume itself has them.
  private mutating func compare() throws(Difference) {
    let (files, name) = (files, name)
    var contents: [[UInt8]] = []
    try sides.both("size") { place in
      var status = stat()
      stat(place + name, &status)
      var into = [UInt8](repeating: 0, count: Int(status.st_size))
      let got = pread(files[place]!, &into, into.count, 0)
      contents.append(into)
      return got == into.count ? Answer(status.st_size) : -1
    }
    if let at = zip(contents[0], contents[1]).enumerated().first(where: { $1.0 != $1.1 })?.offset {
      throw sides.difference("has \(contents[0][at]) at \(at), and not \(contents[1][at])")
    }
    let direct = tl_open_direct(sides.volume + name, O_RDONLY)
    defer { close(Int32(direct)) }
    let isSame = Self.aligned(contents[0].count + 4096) { room in
      fsync(files[sides.volume]!)
      var got = 0
      while got < contents[0].count {
        let count = pread(Int32(direct), room.baseAddress! + got, room.count - got, off_t(got))
        if count <= 0 { return false }
        got += count
      }
      return room.prefix(got).elementsEqual(contents[1])
    }
    if !isSame { throw sides.difference("holds other bytes than its cache") }
  }
}
