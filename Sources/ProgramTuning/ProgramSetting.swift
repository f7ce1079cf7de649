import LogModel
import ProgramOracle
import Tuning

/// One configuration of a program, and what it promises.
package struct ProgramSetting: TunedSetting {
  package var name: String
  /// The text of a JSON object, as the driver is given it.
  package var config: String
  /// As scenarios write them.
  package var promises: String
  package var allows: [String]
  /// Where the promise is documented.
  package var source: String?
  /// The others are compared with it.
  package var isReference: Bool

  private enum CodingKeys: String, CodingKey {
    case name, config, promises, allows, source
    case isReference = "reference"
  }

  package init(
    name: String, config: String, promises: String, allows: [String] = [], source: String? = nil,
    isReference: Bool = false
  ) {
    (self.name, self.config, self.promises, self.allows) = (name, config, promises, allows)
    (self.source, self.isReference) = (source, isReference)
  }

  /// An allowance says how an interval's loss comes about; it has a limit all the same. What is acknowledged and may be
  /// lost has none, and neither has what only a flush protects: the load asks for none.
  package var promisedLoss: Duration? {
    switch ProgramPromise(promises) {
    case .acknowledged:
      allows.contains { $0 == ProgramAllowance.suffixLoss.rawValue || $0 == ProgramAllowance.holeLoss.rawValue }
        ? nil : .zero
    case .interval(let limit): limit
    case .flushed, .nothing, nil: nil
    }
  }

  package static let reportKey = "tuneProgram"
  package static let command = "tornlog tune --program"
  package static let countsExposure = false
  package static let inquiry = "Run `tornlog test` with the scenario"
  package static let endlessPromise = "It promises no limit."

  package static func load(_ requirements: Requirements) -> String {
    "\(shortCount(requirements.workload.rate))/s of \(requirements.workload.messageSize) B, \(requirements.producers) "
      + "in flight"
  }
}

package typealias ProgramTuningPoint = TunedPoint<ProgramSetting>
package typealias ProgramTuningResult = TunedResult<ProgramSetting>
