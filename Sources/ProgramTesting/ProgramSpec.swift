import Drivers
import Glibc
import ProgramOracle

/// A program to test: how it is called, and what it promises.
package struct ProgramSpec: Sendable {
  package var command: DriverCommand
  /// The text of a JSON object, given to `open`.
  package var config = "{}"
  /// Nil takes what the driver's operations allow.
  package var model: ProgramModel?
  package var promise = ProgramPromise.acknowledged
  package var allowances: Set<ProgramAllowance> = []
  /// From 1.
  package var requests = 100
  /// Requests that are in flight at the same time, from 1.
  package var concurrency = 1
  package var seed: UInt64 = 1
  /// Nanoseconds that a request may take.
  package var requestLimit: UInt64 = 10_000_000_000
  /// Bytes of plain memory that a volume takes before it goes to a file.
  package var memoryLimit = 1 << 30
  /// Where mount points and channels are made.
  package var directory = "/tmp"
  /// Namespaces for each driver. Needs root.
  package var isIsolated = geteuid() == 0

  package init(_ command: DriverCommand) { self.command = command }
}

/// Why a program cannot be tested here.
package enum ProgramTestError: Error, CustomStringConvertible {
  case driver(DriverError)
  /// The volume cannot be mounted: what to do about it.
  case mount(String)
  /// The program does not get through the workload without any fault.
  case failsWithoutFault(String, log: [String])
  /// The driver offers too little for the model.
  case missing(operation: String, model: ProgramModel)
  /// The driver's operations fit no model.
  case noModel(offered: [String])
  /// What the machine has no room for.
  case machine(String)

  package var description: String {
    switch self {
    case .driver(let error): "\(error)"
    case .mount(let reason): reason
    case .failsWithoutFault(let reason, let log):
      "the program fails without any fault, so nothing was tested: \(reason)"
        + (log.isEmpty ? "" : "; its last words: \(log.suffix(3).joined(separator: " / "))")
    case .missing(let operation, let model):
      "the driver does not offer '\(operation)', which the model '\(model.rawValue)' needs; see docs/driver-protocol.md"
    case .noModel(let offered):
      "the driver offers \(offered.isEmpty ? "nothing" : offered.joined(separator: ", ")): no model can be tested with"
        + " that; see docs/driver-protocol.md"
    case .machine(let reason): reason
    }
  }
}

extension ProgramModel {
  /// What a driver must offer for it; each may be any of several.
  private var needs: [[String]] {
    switch self {
    case .log: [["append"], ["scan"]]
    case .map: [["put"], ["scan", "get"]]
    case .queue: [["append"], ["take"]]
    case .transactions: [["txn"], ["scan", "get"]]
    }
  }

  /// The first operation that is missing; nil where the model can be tested.
  private func missing(in offered: Set<String>) -> String? {
    needs.first { offered.isDisjoint(with: $0) }?.first
  }

  /// The model that is tested.
  static func chosen(_ wanted: ProgramModel?, offered: Set<String>) throws(ProgramTestError) -> ProgramModel {
    if let wanted {
      if let operation = wanted.missing(in: offered) { throw .missing(operation: operation, model: wanted) }
      return wanted
    }
    for model in [ProgramModel.transactions, .map, .queue, .log] where model.missing(in: offered) == nil {
      return model
    }
    throw .noModel(offered: offered.sorted())
  }
}
