import LogModel
import Storage

/// A sign that a disk, or a mount, may not honour flushes. It is a sign, and no proof: only a power cut proves it.
public struct DiskSign: Hashable, Sendable, Codable {
  public enum Kind: String, Hashable, Sendable, Codable {
    /// The file system is memory.
    case memory
    /// Another layer decides what a flush does.
    case layer
    /// The mount sends no flushes.
    case noBarrier = "no-barrier"
    /// The kernel believes that the device has no volatile cache, and sends it no flushes.
    case writeThrough = "write-through"
    /// A flush is faster than any medium of its kind.
    case tooFast = "too-fast"
    /// A host decides.
    case virtual
  }

  public var kind: Kind
  public var text: String
}

extension DiskSign {
  /// The fastest platters turn 15 000 times a minute: a write waits for half a turn on average, 2 ms.
  static let fastestPlatter = Duration.milliseconds(2)
  /// Programming a page of NAND takes 100 µs or more; a drive whose capacitors save its cache answers from memory,
  /// across the bus and back.
  static let fastestFlash = Duration.microseconds(100)
  /// No command to an NVMe drive and its answer take less.
  static let fastestBus = Duration.microseconds(5)

  static func read(_ disk: DiskFigures, _ device: BlockDevice?, _ place: FileSystemKind) -> [DiskSign] {
    var signs: [DiskSign] = []
    if place.isMemory {
      signs.append(DiskSign(kind: .memory, text: "\(place.name) is memory: nothing on it survives a power cut"))
    }
    if place.isDecidedElsewhere {
      signs.append(DiskSign(kind: .layer, text: "\(place.name): another layer decides what a flush does there"))
    }
    let barriers = ["nobarrier", "barrier=0"].filter(place.options.contains)
    if let option = barriers.first {
      signs.append(
        DiskSign(kind: .noBarrier, text: "\(place.mountPoint) is mounted with \(option): no flush reaches the disk"))
    }
    if let device {
      if device.writeCache == "write through" {
        signs.append(
          DiskSign(
            kind: .writeThrough,
            text: "the kernel takes the device's cache for write-through and sends it no flushes; a drive that has a "
              + "volatile cache all the same loses what is in it"))
      }
      if device.isLoop {
        signs.append(
          DiskSign(kind: .layer, text: "\(device.name ?? "the device") is a file on another file system, which decides")
        )
      }
      if device.isVirtual {
        signs.append(
          DiskSign(
            kind: .virtual,
            text: "\(device.name ?? "the device") is a virtual disk: the host's cache mode decides what a flush does"))
      }
    }
    if signs.contains(where: { $0.kind == .memory }) { return signs }
    return signs + speed(disk, device)
  }

  private static func speed(_ disk: DiskFigures, _ device: BlockDevice?) -> [DiskSign] {
    guard let flush = disk.flush, flush.messages > 0 else { return [] }
    let median = Duration.nanoseconds(flush.p50)
    let time = shortTime(flush.p50)
    if device?.isRotational == true, device?.isVirtual != true, device?.isLoop != true, median < fastestPlatter {
      return [
        DiskSign(kind: .tooFast, text: "a flush takes \(time): no platter turns so fast, so it ends in a cache")
      ]
    }
    if median < fastestBus {
      return [DiskSign(kind: .tooFast, text: "a flush takes \(time): no command to a drive and back takes so little")]
    }
    if median < fastestFlash {
      return [
        DiskSign(
          kind: .tooFast,
          text: "a flush takes \(time): flash takes 100 us or more, so it ends in a cache; ask whether that cache "
            + "survives a power cut (power-loss protection)")
      ]
    }
    return []
  }
}
