import Drivers
import ProgramOracle

/// What a load asks of a program: each request writes what no other has written, so that what is lost can be counted.
package struct LoadRequests: Sendable {
  let model: ProgramModel
  /// Bytes of each value.
  private let size: Int
  /// A map takes single writes; otherwise each write is a transaction.
  private let canPut: Bool

  /// - Parameter can: what the driver offers, as the protocol names it.
  init(_ model: ProgramModel, size: Int, can: Set<String>) {
    (self.model, self.size, canPut) = (model, size, can.contains("put"))
  }

  static let log = "a"

  func request(_ number: Int) -> DriverRequest {
    let value = ProgramWorkload.value("v\(number)", size)
    switch model {
    case .log, .queue: return .append(log: Self.log, value: value)
    case .map, .transactions:
      let key = Self.key(number)
      return canPut ? .put(key: key, value: value) : .transaction([.put(key: key, value: value)])
    }
  }

  /// What is read back after so many of them.
  func workload(_ count: Int) -> ProgramWorkload {
    ProgramWorkload(model, logs: [Self.log], keys: (0..<count).map(Self.key))
  }

  private static func key(_ number: Int) -> String { "k\(number)" }
}

/// When the requests of a load are due.
package enum LoadPace: Sendable {
  /// Each is due as soon as there is room for it.
  case flatOut
  /// So many a second.
  case rate(Double)

  /// - Parameter start: of the load, CLOCK_MONOTONIC, nanoseconds.
  /// - Returns: nil where it is due at once.
  func due(_ number: Int, from start: UInt64) -> UInt64? {
    switch self {
    case .flatOut: nil
    case .rate(let rate): start + UInt64(Double(number) * 1e9 / rate)
    }
  }
}
