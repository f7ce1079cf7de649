import Glibc
import Storage

extension Journal {
  /// A failure of the machine's under a trial. It stands here because no process without descriptors can write a file,
  /// and because it must outlive a process that is killed before it replies.
  struct DeviceFailure: Equatable, CustomStringConvertible {
    var code: Int32
    var operation: OperationKind
    /// The trial has no verdict; any other failure ends the run.
    var isShortage: Bool

    var description: String { "\(operation.rawValue): \(Shortage.text(code))" }
  }

  /// What `process` was doing when it died; nil where it had not begun: the stage is one of the life before it.
  func stage(of process: pid_t) -> Stage? { head.pointee.owner == Int64(process) ? stage : nil }

  /// Keeps the first failure.
  func note(_ failure: DeviceFailure) {
    guard head.pointee.failureCode == 0 else { return }
    head.pointee.failureOperation = Int64(OperationKind.allCases.firstIndex(of: failure.operation) ?? 0)
    head.pointee.failureIsShortage = failure.isShortage ? 1 : 0
    head.pointee.failureCode = Int64(failure.code)
  }

  var deviceFailure: DeviceFailure? {
    let (head, operations) = (head.pointee, OperationKind.allCases)
    guard head.failureCode != 0, operations.indices.contains(Int(head.failureOperation)) else { return nil }
    return DeviceFailure(
      code: Int32(truncatingIfNeeded: head.failureCode), operation: operations[Int(head.failureOperation)],
      isShortage: head.failureIsShortage != 0)
  }
}
