import LogModel
import ScenarioFormat
import Verification

/// Tells where on the medium the message of a divergence stands, found by its bytes: "there, but not served" and
/// "not there any more" are different bugs.
struct DivergenceLocator {
  let spec: TrialSpec
  let history: History

  /// The checks with segment and byte filled in where the divergent message is on the medium.
  func complete(_ checks: [CheckResult], on medium: some AtRestDamage.Medium) -> [CheckResult] {
    var found: [Divergence: (path: String, byte: Int64)?] = [:]
    return checks.map { check in
      guard check.verdict == .violated, var place = check.divergence, place.segment == nil else { return check }
      let key = Divergence(topic: place.topic, partition: place.partition, offset: place.offset, restart: 0)
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

  private func locate(_ place: Divergence, _ medium: some AtRestDamage.Medium) -> (path: String, byte: Int64)? {
    let source = TopicPartition(place.topic ?? spec.topic, place.partition)
    guard let slot = history.creations.firstIndex(where: { $0.partition == source }) else { return nil }
    let operation = history.operations.first { operation in
      guard operation.partition.index == slot, let base = operation.baseOffset else { return false }
      return base <= place.offset && place.offset < base + operation.count
    }
    guard let operation, let base = operation.baseOffset else { return nil }
    let wanted = UInt64(operation.firstSequence + (place.offset - base))
    do throws(TrialError) {
      guard let found = try search(wanted, source, medium) else { return nil }
      return (found.path, Int64(found.byte))
    } catch {
      // It only adds to a violation that is certain: files that cannot be read leave the place unnamed.
      return nil
    }
  }

  /// The first bytes name the message; the rest may be what is wrong with it.
  private func search(
    _ sequence: UInt64, _ source: TopicPartition, _ medium: some AtRestDamage.Medium
  ) throws(TrialError) -> (path: String, byte: Int)? {
    // Fewer bytes may stand anywhere by chance.
    guard spec.messageSize >= MessageContent.minimumSize else { return nil }
    let content = MessageContent(seed: spec.seed, topic: source.topic, partition: source.partition)
    var message = [UInt8](repeating: 0, count: spec.messageSize)
    message.withUnsafeMutableBytes { content.write(sequence: sequence, into: $0) }
    let head = Array(message.prefix(MessageContent.minimumSize))
    for path in try medium.files(of: source) {
      if let at = try medium.read(path, { Self.find(head, in: $0) }) { return (path, at) }
    }
    return nil
  }

  /// - Parameter needle: at least 8 bytes.
  private static func find(_ needle: [UInt8], in hay: UnsafeRawBufferPointer) -> Int? {
    guard hay.count >= needle.count else { return nil }
    return needle.withUnsafeBytes { pin in
      let first = pin.loadUnaligned(as: UInt64.self)
      return (0...(hay.count - pin.count)).first { at in
        hay.loadUnaligned(fromByteOffset: at, as: UInt64.self) == first && hay[at..<(at + pin.count)].elementsEqual(pin)
      }
    }
  }
}
