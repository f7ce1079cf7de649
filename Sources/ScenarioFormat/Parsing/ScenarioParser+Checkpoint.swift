import LogModel

extension SourceReader {
  /// `checkpoint: { every: 100ms, bytes: 64KB, object-bytes: 16KB, timeout: 2s, waiting: 1MB, patience: 100ms }`
  mutating func checkpointTerms(_ node: SourceNode) -> CheckpointTerms {
    var terms = CheckpointTerms()
    let known = ["every", "bytes", "object-bytes", "timeout", "waiting", "patience"]
    guard let keys = mapping(node, "checkpoint", known: known) else { return terms }
    if let every = keys["every"].flatMap({ duration($0.value, "every") }) { terms.every = every }
    if let bytes = keys["bytes"].flatMap({ size($0.value, "bytes", 1...1 << 40) }) { terms.bytes = bytes }
    if let bytes = keys["object-bytes"].flatMap({ size($0.value, "object-bytes", CheckpointTerms.objectSizes) }) {
      terms.objectBytes = bytes
    }
    if let timeout = keys["timeout"].flatMap({ duration($0.value, "timeout") }) { terms.timeout = timeout }
    terms.mostWaiting = keys["waiting"].flatMap { size($0.value, "waiting", 1...1 << 40) }
    if let patience = keys["patience"].flatMap({ duration($0.value, "patience") }) { terms.patience = patience }
    return terms
  }

  /// More than nothing, and a day at most.
  mutating func duration(_ node: SourceNode, _ noun: String) -> Duration? {
    guard let text = text(node, noun) else { return nil }
    guard let duration = DurationText.parse(text), duration > .zero, duration <= .seconds(86_400) else {
      note(node.position, .malformed(text, of: noun, expected: "a time like 100ms or 2s, a day at most"))
      return nil
    }
    return duration
  }

  private mutating func size(_ node: SourceNode, _ noun: String, _ allowed: ClosedRange<Int>) -> Int? {
    guard let text = text(node, noun) else { return nil }
    guard let bytes = byteCount(text) else {
      note(node.position, .malformed(text, of: noun, expected: "a size like 100B, 1KB or 1KiB"))
      return nil
    }
    guard allowed.contains(bytes) else {
      note(node.position, .outOfRange(bytes, of: noun, allowed: allowed))
      return nil
    }
    return bytes
  }
}
