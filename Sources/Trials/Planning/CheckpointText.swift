import LogModel

/// The checkpoints of a trial in its token, `flushed/20ms/65536/65536/2s/none/100ms`, and in a scenario.
extension TrialSpec {
  var checkpointField: String? {
    guard checkpoint != .none else { return nil }
    let terms = checkpointTerms
    return [
      checkpoint.rawValue, DurationText.render(terms.every), "\(terms.bytes)", "\(terms.objectBytes)",
      DurationText.render(terms.timeout), terms.mostWaiting.map { "\($0)" } ?? "none", DurationText.render(terms.patience),
    ].joined(separator: "/")
  }

  /// - Returns: nil where no scenario could hold it.
  static func readCheckpoint(_ field: String) -> (CheckpointSetup, CheckpointTerms)? {
    let parts = field.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 7, let setup = CheckpointSetup(rawValue: parts[0]) else { return nil }
    var terms = CheckpointTerms()
    func duration(_ text: String) -> Duration? {
      DurationText.parse(text).flatMap { $0 > .zero && $0 <= .seconds(86_400) ? $0 : nil }
    }
    func size(_ text: String) -> Int? { Int(text).flatMap { $0 > 0 ? $0 : nil } }
    guard let every = duration(parts[1]), let bytes = size(parts[2]), let objectBytes = size(parts[3]),
      CheckpointTerms.objectSizes.contains(objectBytes), let timeout = duration(parts[4]), let patience = duration(parts[6]),
      parts[5] == "none" || size(parts[5]) != nil
    else { return nil }
    (terms.every, terms.bytes, terms.objectBytes, terms.timeout) = (every, bytes, objectBytes, timeout)
    (terms.mostWaiting, terms.patience) = (size(parts[5]), patience)
    return (setup, terms)
  }

  /// Lines of a scenario.
  var checkpointLines: (policy: [String], axis: [String]) {
    guard checkpoint != .none else { return ([], []) }
    let terms = checkpointTerms
    var words = [
      "every: \(DurationText.render(terms.every))", "bytes: \(terms.bytes)B", "object-bytes: \(terms.objectBytes)B",
      "timeout: \(DurationText.render(terms.timeout))",
    ]
    if let waiting = terms.mostWaiting { words += ["waiting: \(waiting)B", "patience: \(DurationText.render(terms.patience))"] }
    return (["checkpoint: { \(words.joined(separator: ", ")) }", ""], ["  checkpoint: [\(checkpoint.rawValue)]"])
  }
}
