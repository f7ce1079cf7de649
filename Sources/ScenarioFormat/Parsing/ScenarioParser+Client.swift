import LogModel

extension SourceReader {
  /// What a trial of a client cannot be: on files, with faults, of two writers, or of anything else that takes an engine's place.
  mutating func noteClientContradictions(of scenario: Scenario) {
    guard let dimension = scenario.dimensions.first(where: { $0.axis == .client }) else { return }
    for cell in scenario.cells() {
      guard let client = cell.client else { continue }
      let isUsual = cell.storage == .memory && cell.writers == .one && cell.system == .tornlog && cell.checkpoint == .none
      // Only transactions crash; a crash that nobody makes would be believed to have been survived.
      guard client == .transactions || cell.crash == CrashKind.none && cell.crashAt == .end else {
        return note(dimension.position, .malformed(client.rawValue, of: "client", expected: "crash: none, for it does not crash"))
      }
      guard isUsual, cell.faults.isEmpty, cell.delivery == nil, cell.exploration == nil, cell.otherTopics.isEmpty else {
        return note(
          dimension.position,
          .malformed(client.rawValue, of: "client", expected: "storage: memory, and no faults, writers, system, checkpoint, delivery or exploration beside it"))
      }
    }
  }
}
