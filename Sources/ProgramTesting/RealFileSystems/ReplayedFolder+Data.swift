import CLoopDisks
import Glibc
import Volume

// What a file holds, and what is known of it.

extension ReplayedFolder {
  func write(_ operation: VolumeOperation) -> Int32 {
    let pieces = trace.stored(operation.sequence)
    return trace.withPayload(of: operation.sequence) { payload in
      withFile(operation.inode) { file in
        for piece in pieces where !piece.payload.isEmpty {
          let bytes = UnsafeRawBufferPointer(rebasing: payload[piece.payload])
          let code =
            operation.flags.contains(.direct)
            ? Self.writeDirectly(file, bytes, Int(piece.offset), operation)
            : Self.write(file, bytes, Int(piece.offset), operation)
          if code < 0 { return code }
        }
        return 0
      }
    }
  }

  private static func write(
    _ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ operation: VolumeOperation
  ) -> Int32 {
    var done = 0
    while done < bytes.count {
      let (rest, count, at) = (bytes.baseAddress! + done, bytes.count - done, offset + done)
      var written: Int
      if operation.durableBy != nil {
        written = tl_write_durable(file, rest, UInt(count), at, operation.flags.contains(.synchronous) ? 1 : 0)
      } else {
        written = pwrite(file, rest, count, off_t(at))
        if written < 0 { written = -Int(Glibc.errno) }
      }
      if written == -Int(EINTR) { continue }
      if written <= 0 { return written == 0 ? -EIO : Int32(written) }
      done += written
    }
    return 0
  }

  /// O_DIRECT: from memory at the address of a page (`man 2 open`). A length or an offset that no disk takes is
  /// refused.
  private static func writeDirectly(
    _ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ operation: VolumeOperation
  ) -> Int32 {
    // O_DIRECT, which Swift does not have.
    let direct = Glibc.open("/proc/self/fd/\(file)", O_RDWR | O_CLOEXEC | 0o40000)
    guard direct >= 0 else { return -Glibc.errno }
    defer { close(direct) }
    return withUnsafeTemporaryAllocation(byteCount: bytes.count, alignment: 4096) { page in
      page.copyMemory(from: bytes)
      return write(direct, UnsafeRawBufferPointer(page), offset, operation)
    }
  }

  func change(_ operation: VolumeOperation) -> Int32 {
    let (begin, length) = (Int(operation.offset), Int(operation.length))
    let keepsSize = Int32(operation.mode & 1) * TL_KEEP_SIZE
    return withFile(operation.inode) { file in
      switch operation.kind {
      case .truncate: ftruncate(file, off_t(length))
      case .allocate: tl_allocate(file, keepsSize, begin, length)
      case .punchHole: tl_allocate(file, TL_PUNCH_HOLE | TL_KEEP_SIZE, begin, length)
      default: tl_allocate(file, TL_ZERO_RANGE | keepsSize, begin, length)
      }
    }
  }

  /// The path of a file, from the folder on, that a write has been to; nil where it has none.
  func file(of operation: VolumeOperation) -> String? {
    guard operation.kind == .write, operation.error == 0, let path = path(of: operation.inode) else { return nil }
    return String(validating: path, as: UTF8.self)
  }

  // MARK: Attributes

  func attribute(_ operation: VolumeOperation) -> Int32 {
    func time(_ value: UInt64) -> timespec {
      let (seconds, rest) = Int64(bitPattern: value).quotientAndRemainder(dividingBy: 1_000_000_000)
      return timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
    }
    let key = operation.name + [0]
    let value = operation.kind == .setAttribute ? trace.payload(of: operation.sequence) : []
    return with(place(of: operation.inode)) { place in
      switch operation.kind {
      case .setMode: chmod(place, operation.mode & 0o7777)
      // By a descriptor's path the link in /proc is followed, and to a file's own name no link leads.
      case .setOwner:
        fchownat(
          AT_FDCWD, place, operation.user, operation.group,
          self.nodes[operation.inode]!.descriptor < 0 ? AT_SYMLINK_NOFOLLOW : 0)
      case .setTimes:
        utimensat(
          AT_FDCWD, place, [time(operation.value), time(operation.otherValue)],
          self.nodes[operation.inode]!.descriptor < 0 ? AT_SYMLINK_NOFOLLOW : 0)
      default:
        key.withUnsafeBufferPointer { bytes in
          bytes.withMemoryRebound(to: CChar.self) { key in
            operation.kind == .setAttribute
              ? tl_put_bytes_attribute(place, key.baseAddress!, value, UInt(value.count))
              : tl_drop_attribute(place, key.baseAddress!)
          }
        }
      }
    }
  }
}
