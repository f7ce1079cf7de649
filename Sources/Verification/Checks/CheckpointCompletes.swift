import LogModel

extension CheckResult {
  /// Whether every engine that was asked to bring everything to its object store did so, once no fault stood in its
  /// way.
  /// - Parameter reasons: what the engine answered, by incarnation, where the history does not say it.
  /// - Returns: nil where none was asked.
  public static func checkpointCompletes(_ history: History, reasons: [Int: String] = [:]) -> CheckResult? {
    guard !history.flushes.isEmpty else { return nil }
    guard let failed = history.flushes.first(where: { $0.outcome != .acknowledged }) else {
      return CheckResult(.checkpointCompletes, .held)
    }
    return .found(
      .checkpointCompletes, .violated,
      "no fault stood in the engine's way any more in life \(failed.incarnation + 1), and it must bring everything to "
        + "the object "
        + "store, found an error: \(failed.reason ?? reasons[failed.incarnation] ?? "nobody wrote down which")")
  }
}
