import Foundation
import Glibc
import Storage
import Testing
import Volume
import VolumeWorkloads

/// Random operations on a volume and on a plain folder, by seed: answers, bytes and trees are the same.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct FuzzTests {
  /// Folders whose file systems count links as POSIX has it, and not as btrfs.
  static let trusted = [NSTemporaryDirectory(), "/dev/shm"].filter {
    ["ext4", "xfs", "tmpfs"].contains(FileSystemKind.of($0).name)
  }

  @Test func thereIsSomethingToCompareWith() { #expect(!Self.trusted.isEmpty) }

  @Test(arguments: trusted, 1...2) func filesHoldTheSame(_ place: String, _ seed: Int) throws {
    let plain = Scratch(in: place)
    let mounted = try Mounted()
    var fuzz = FileFuzz(volume: mounted.mount.folder, trusted: plain.path, seed: UInt64(seed))
    #expect(throws: Never.self) { try fuzz.run(400) }
  }

  @Test(arguments: trusted, 1...2) func namesMeanTheSame(_ place: String, _ seed: Int) throws {
    let plain = Scratch(in: place)
    let mounted = try Mounted()
    var fuzz = NameFuzz(volume: mounted.mount.folder, trusted: plain.path, seed: UInt64(seed))
    #expect(throws: Never.self) { try fuzz.run(1000) }
    #expect(mounted.volume.usage.files == 0)
  }

  /// The trace says all: who follows it has the file.
  @Test(arguments: 11...12) func theTraceHasEveryByte(_ seed: Int) throws {
    let plain = Scratch()
    let mounted = try Mounted()
    mounted.volume.setDecider { $0.kind == .unlink ? .fail(EBUSY) : .proceed }
    var fuzz = FileFuzz(volume: mounted.mount.folder, trusted: plain.path, seed: UInt64(seed))
    // The last operation is the unlink, which differs.
    #expect(throws: Difference.self) { try fuzz.run(400) }
    #expect(Followed(mounted.volume, inode: 2).bytes == mounted.stored("fuzz-\(seed)"))
  }
}

/// A file's bytes by the trace alone.
struct Followed {
  var bytes: [UInt8] = []

  init(_ volume: Volume, inode: UInt64) {
    let trace = volume.trace
    for operation in trace.operations where operation.inode == inode && operation.error == 0 {
      let (start, end) = (Int(operation.offset), Int(operation.offset + operation.length))
      switch operation.kind {
      case .write:
        trace.withPayload(of: operation.sequence) { payload in
          for piece in trace.stored(operation.sequence) {
            grow(to: Int(piece.offset) + piece.payload.count)
            bytes.replaceSubrange(
              Int(piece.offset)..<Int(piece.offset) + piece.payload.count, with: payload[piece.payload])
          }
        }
      case .truncate:
        bytes = Array(bytes.prefix(Int(operation.length)))
        grow(to: Int(operation.length))
      case .allocate, .punchHole, .zeroRange:
        if operation.mode & 1 == 0 { grow(to: end) }
        if operation.kind != .allocate {
          for place in start..<max(start, min(end, bytes.count)) { bytes[place] = 0 }
        }
      default: break
      }
    }
  }

  private mutating func grow(to count: Int) {
    if count > bytes.count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
  }
}
