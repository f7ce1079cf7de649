import Glibc

/// An errno, as an operation's answer.
struct VolumeErrno: Error, Equatable {
  let code: Int32

  init(_ code: Int32) { self.code = code }
}

/// A time of a file: seconds since 1970 and nanoseconds (`man 7 inode`).
struct VolumeTime: Equatable {
  var seconds: Int
  var nanoseconds: Int

  init(seconds: Int, nanoseconds: Int) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  init(_ time: timespec) { self.init(seconds: time.tv_sec, nanoseconds: time.tv_nsec) }

  static var now: VolumeTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return VolumeTime(time)
  }

  /// Nanoseconds since 1970 as two's complement.
  var bits: UInt64 { UInt64(bitPattern: Int64(seconds &* 1_000_000_000 &+ nanoseconds)) }

  static func < (left: VolumeTime, right: VolumeTime) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }
}
