import LogModel
import RecordLogs
import Verification

extension Delivered {
  /// Events as the receiver or an archive has them, by the messages that they carry.
  package init(_ events: [Event], slot: Int, _ content: MessageContent) {
    self.init(
      slot: PartitionSlot(slot),
      messages: events.map { event in
        event.payload.withUnsafeBytes { bytes in if case .intact(let n) = content.read(bytes) { Int(n) } else { -1 } }
      }, numbers: events.map(\.sequence))
  }
}
