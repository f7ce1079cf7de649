/// How fast crash states of a program are judged, beside its engine alone on the same states.
package struct ProgramSpeed: Sendable, Hashable, Encodable {
  /// The program and its version, and the model that it was judged by.
  package var name: String
  package var program: String
  package var model: String
  /// States that are open at the same time, by the harness and by the engine alone.
  package var jobs: Int
  package var rounds: [Round] = []
  /// Microseconds of a state that a job of the harness spends, by part. They add up to the time of a state, but for
  /// what jobs wait for each other.
  package var parts: [Part] = []
  /// Requests of the kernel to the volume, for each state: the most frequent first.
  package var requests: [Request] = []

  package struct Request: Sendable, Hashable, Encodable {
    /// As `linux/fuse.h` calls it, without FUSE_.
    package var name: String
    package var each: Double
  }

  /// The same states, opened by the harness and, as copies on tmpfs, by the engine alone.
  package struct Round: Sendable, Hashable, Encodable {
    package var states: Int
    /// States a second: chosen, made, opened, read, closed and judged.
    package var harness: Double
    /// States a second: opened, read and closed, in as many loops as `jobs`.
    package var bare: Double
    /// The same in one loop.
    package var bareOnce: Double
    /// Requests of the kernel to the volume, for each state.
    package var roundTrips: Double

    package var ratio: Double { harness / bare }
    package var ratioToOne: Double { harness / bareOnce }
  }

  package struct Part: Sendable, Hashable, Encodable {
    package var name: String
    package var microseconds: Double
  }

  /// By opcode, those that programs cause.
  static let requestNames = [
    1: "LOOKUP", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 6: "SYMLINK", 8: "MKNOD", 9: "MKDIR", 10: "UNLINK",
    11: "RMDIR", 12: "RENAME", 13: "LINK", 14: "OPEN", 15: "READ", 16: "WRITE", 17: "STATFS", 18: "RELEASE",
    20: "FSYNC", 21: "SETXATTR", 22: "GETXATTR", 23: "LISTXATTR", 24: "REMOVEXATTR", 25: "FLUSH", 27: "OPENDIR",
    28: "READDIR", 29: "RELEASEDIR", 30: "FSYNCDIR", 35: "CREATE", 36: "INTERRUPT", 43: "FALLOCATE",
    44: "READDIRPLUS", 45: "RENAME2", 46: "LSEEK", 47: "COPY_FILE_RANGE", 51: "TMPFILE",
  ]

  /// The harness may cost 30 %, not more.
  package static let target = 0.7

  package static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Of the medians of all rounds, with as many loops of the engine alone as the harness has jobs.
  package var ratio: Double { Self.median(rounds.map(\.ratio)) }
  package var ratioToOne: Double { Self.median(rounds.map(\.ratioToOne)) }
  package var meetsTarget: Bool { ratio >= Self.target }
  package var states: Int { rounds.reduce(0) { $0 + $1.states } }
}
