/// What `explore` does with the cells of a scenario, beside what their axes say. A scenario that has it is for
/// `explore` only: `run` leaves it out.
public struct ExplorationSettings: Hashable, Sendable, Codable {
  /// Persistence profiles; empty for all.
  public var profiles: [String] = []
  /// 2: the recoveries are cut off too.
  public var depth = 1
  public var bound = 3
  public var statesPerPoint = 4096
  public var samples = 64
  /// Bytes of a segment.
  public var segmentSize = 16 << 10
  public var commitsOffsets = true
  /// Groups that commit while messages are sent.
  public var committers = 0
  /// Every so many writes the device takes less than asked; 0: never.
  public var shortWrites = 0
  /// The sync of a segment that fails, from 1; 0: none.
  public var failingSync = 0
  /// Every so many durable writes to a segment one fails with EIO, and is there all the same; 0: never.
  public var failingWrites = 0
  /// A program with logs of its own that is put to the test in place of the engine; nil for none.
  public var client: String?
  /// Nil: every state.
  public var state: PinnedState?

  public init() {}

  /// One crash state: the cells of its defect are judged in this state only, all others in every state.
  public struct PinnedState: Hashable, Sendable, Codable {
    /// `none` for the sound engine.
    public var defect: String
    public var cut: Cut
    /// A second power cut, inside the recovery.
    public var recoveryCut: Cut?
    /// Eight hexadecimal digits of what the state was made of.
    public var fingerprint: String
    public var position: SourcePosition
  }

  /// When the power goes, and what is kept.
  public struct Cut: Hashable, Sendable, Codable {
    /// After so many events of the recording.
    public var event: Int
    /// `all`, `none`, or either with exceptions: `all_3-0`.
    public var kept: String
  }
}
