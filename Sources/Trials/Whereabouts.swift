import LogModel
import Verification

/// Tells where on the medium the message of a divergence stands, found by its bytes: "there, but not served" and
/// "not there any more" are different bugs.
struct Whereabouts {
  /// Files beyond this many bytes are not searched.
  private static let searchLimit = 128 << 20

  let spec: TrialSpec
  let history: History

  /// The checks with segment and byte filled in where the divergent message is on the medium.
  func complete(_ checks: [CheckResult], on medium: some RestingDamage.Medium) -> [CheckResult] {
    var found: [Divergence: (path: String, byte: Int64)?] = [:]
    return checks.map { check in
      guard check.verdict == .violated, var place = check.divergence, place.segment == nil else { return check }
      let key = Divergence(partition: place.partition, offset: place.offset, restart: 0)
      let location = found[key] ?? locate(place, medium)
      found[key] = .some(location)
      guard let location else { return check }
      var completed = check
      place.segment = location.path
      place.byte = location.byte
      completed.divergence = place
      return completed
    }
  }

  private func locate(_ place: Divergence, _ medium: some RestingDamage.Medium) -> (path: String, byte: Int64)? {
    guard let slot = history.creations.firstIndex(where: { $0.partition.partition == place.partition }) else { return nil }
    let operation = history.operations.first { operation in
      guard operation.partition.index == slot, let base = operation.baseOffset else { return false }
      return base <= place.offset && place.offset < base + operation.count
    }
    guard let operation, let base = operation.baseOffset else { return nil }
    let content = MessageContent(seed: spec.seed, topic: spec.topic, partition: place.partition)
    var needle = [UInt8](repeating: 0, count: spec.messageSize)
    needle.withUnsafeMutableBytes {
      content.write(sequence: UInt64(operation.firstSequence + (place.offset - base)), into: $0)
    }
    // The first bytes name the message; the rest may be what is wrong with it.
    let head = Array(needle.prefix(MessageContent.minimumSize))
    guard let files = try? medium.files(of: place.partition) else { return nil }
    for (path, bytes) in files where bytes.count <= Self.searchLimit {
      if let at = RestingDamage.find(head, in: bytes) { return (path, Int64(at)) }
    }
    return nil
  }
}
