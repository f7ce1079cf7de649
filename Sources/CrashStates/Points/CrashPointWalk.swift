import LogModel

/// Goes through the moments of a recording under one profile, from the first to the last. A crash point is made when it
/// is asked for and kept by nobody: a long recording has more of them than fit into memory.
package struct CrashPointWalk: Sendable {
  private let recording: Recording
  private let profile: CrashProfile
  private let foreign: ForeignBytes
  private var disk: VolatileDisk
  private var cache = UnitCache()
  /// Events that the disk has taken in.
  private var event = 0

  /// - Parameter foreign: of the same recording.
  package init(_ recording: Recording, _ profile: CrashProfile, _ foreign: ForeignBytes) {
    (self.recording, self.profile, self.foreign) = (recording, profile, foreign)
    disk = VolatileDisk(recording, profile)
  }

  package init(_ recording: Recording, _ profile: CrashProfile, seed: UInt64) {
    self.init(recording, profile, ForeignBytes(recording, seed: seed))
  }

  /// The crash point after so many events. One that lies behind costs a walk from the beginning.
  package mutating func point(at event: Int) -> CrashPoint {
    if event < self.event { self = CrashPointWalk(recording, profile, foreign) }
    while self.event < event {
      disk.apply(self.event, of: recording)
      cache.update(&disk)
      self.event += 1
    }
    return CrashPoint(disk, recording, at: event, foreign: foreign, &cache)
  }
}

/// A walk that one thread goes on with, from one crash point to the next.
package final class CrashPointWalker {
  private var walk: CrashPointWalk
  private var last: CrashPoint?

  package init(_ walk: CrashPointWalk) { self.walk = walk }

  /// The crash point after so many events.
  package func point(at event: Int) -> CrashPoint {
    if let last, last.event == event { return last }
    // Or the disk would be copied, since the point has a share in it.
    last = nil
    let point = walk.point(at: event)
    last = point
    return point
  }
}
