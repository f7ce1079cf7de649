import LogModel

extension CheckResult {
  /// Whether every engine that was asked to close did so, but where a fault stood in its way.
  /// - Parameter refusals: when faults stood in the engine's way.
  /// - Returns: nil where none was asked.
  public static func cleanShutdown(_ history: History, _ refusals: JustifiedRejections = JustifiedRejections())
    -> CheckResult?
  {
    guard !history.closings.isEmpty else { return nil }
    guard
      let refused = history.closings.first(where: {
        $0.outcome != .acknowledged && !excuses(.closing, refusals.excuses($0, in: history))
      })
    else {
      return CheckResult(.cleanShutdown, .held)
    }
    return .found(
      .cleanShutdown, .violated,
      "no fault stood in the engine's way in life \(refused.incarnation + 1), and it must close, found an error")
  }
}
