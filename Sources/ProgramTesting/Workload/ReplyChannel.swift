import CProcess
import Glibc
import Volume

/// Where a driver's replies go while its files are recorded: a file of the volume, which puts each reply in one order
/// with the operations on files.
final class ReplyChannel {
  let path: String
  /// What the driver writes can be read here.
  let reading: Int32
  let inode: UInt64
  private let writing: Int32
  private let volume: Volume

  init(_ mount: VolumeMount, number: Int) throws(ProgramTestError) {
    var ends: [Int32] = [-1, -1]
    let code = tl_pipe(&ends)
    guard code == 0 else { throw .machine("pipe2: \(String(cString: strerror(code)))") }
    (reading, writing) = (ends[0], ends[1])
    volume = mount.volume
    inode = volume.addChannel(".replies-\(number)", to: writing)
    path = mount.folder + "/.replies-\(number)"
  }

  deinit {
    volume.removeChannel(inode)
    close(reading)
    close(writing)
  }
}

extension VolumeTrace {
  /// Where the end of each line stands that came through a channel.
  func lineEnds(of channel: UInt64) -> [Int] {
    var ends: [Int] = []
    for operation in operations where operation.kind == .mark && operation.inode == channel {
      let count = withPayload(of: operation.sequence) { bytes in bytes.count { $0 == 0x0A } }
      ends += repeatElement(operation.sequence, count: count)
    }
    return ends
  }
}
