import ObjectStore
import PartitionEngine
import Storage
import WriteAheadLog

extension BenchError {
  /// Whether the machine is to blame for an error that a measurement threw, a full disk say, and neither the engine nor
  /// this program.
  public static func isEnvironment(_ error: any Error) -> Bool {
    switch error {
    case let error as BenchError: error.exitCode == 69
    case is RawReferenceError, is StorageError: true
    case let error as EngineError: isDevice(error)
    default: false
    }
  }

  private static func isDevice(_ error: EngineError) -> Bool {
    switch error {
    case .storage, .log(_, .storage), .log(_, .poisoned), .store(.storage), .inUse: true
    default: false
    }
  }
}
