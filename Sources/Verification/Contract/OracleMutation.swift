/// What may explain that a promise was not kept, or that something was not judged. Each stands at one place of the
/// oracle.
package enum OracleExcuse: String, Hashable, Sendable, CaseIterable {
  /// A fault touched the bytes of the message.
  case touched
  /// The same of a message of which only a readback knows where it stood.
  case touchedUnplaced
  /// `truncate-at-corruption` takes what stands behind what a fault touched.
  case behindTouched
  /// The same behind a message of which nobody knows where it stood.
  case behindUnplaced
  /// A commit that nothing testifies for takes what stands behind it.
  case behindUntestified
  /// No report is owed for what no engine could notice.
  case undetectable
  /// No report is owed for what nothing testifies for.
  case untestified
  /// The message has been reported as damaged.
  case reported
  /// A report names what a fault may have taken.
  case reportOfDamage
  /// A report names what was never acknowledged, and is gone.
  case reportOfUnanswered
  /// What was gone once may come back where damage is skipped.
  case comesBack
  /// A gap is over what damage took.
  case excusedGap
  /// A fault has stored an object in part: its offsets may stay reserved.
  case tornObject
  /// A recovery that nobody saw the end of may have reported a place, and moved it.
  case unseenRecovery
  /// A fetch into what damage took begins behind it, or answers nothing.
  case excusedProbe
  /// Nobody knows which offsets a fault touched.
  case vague
  /// A recovery has lowered a committed offset to the end of the log.
  case lowered
  /// The log may have come back shorter than a group had committed.
  case shorter
  /// What is below a deletion may be gone.
  case deleted
  /// A refused request had a fault in its way.
  case refusal
  /// So had a closing.
  case closing
  /// So had a creation.
  case creation
  /// A newer writer has replaced the one that was refused.
  case takeover
  /// Faults stood in the way of the engine that keeps its metadata.
  case metadata
  /// The log was cut within the life, where a newer writer has recovered it.
  case recoveredInLife
}

#if DEBUG
  /// A fault of the oracle itself, which tests of it switch on. A release build has none of this.
  package enum OracleMutation: Hashable, Sendable {
    /// What is found at this place of the source, `FILE:LINE`, is not said.
    case silent(String)
    /// The excuse never counts.
    case never(OracleExcuse)
    /// It always does.
    case always(OracleExcuse)

    @TaskLocal package static var current: OracleMutation?

    static func isSilent(_ file: StaticString, _ line: UInt) -> Bool {
      guard case .silent(let place)? = current else { return false }
      return place == "\(file):\(line)"
    }
  }

  func excuses(_ excuse: OracleExcuse, _ condition: @autoclosure () -> Bool) -> Bool {
    switch OracleMutation.current {
    case .never(excuse)?: false
    case .always(excuse)?: true
    default: condition()
    }
  }
#else
  @inline(__always)
  func excuses(_ excuse: OracleExcuse, _ condition: @autoclosure () -> Bool) -> Bool { condition() }
#endif
