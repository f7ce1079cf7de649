/// Where in a pass.
public enum BytePlace: Hashable, Sendable, Codable {
  /// The seed chooses.
  case anywhere
  /// Bytes from the start of the pass; a pass that has none of them is not hit.
  case range(Range<Int>)
  /// The byte that the trigger's condition `bytes` counts; elsewhere the first.
  case atTriggerByte
  /// This part of one of the pass's batches, of the seed's choice; a write that has none is not hit.
  case part(BatchPart)
  /// The first or the last byte of such a part.
  case edge(BatchPart, PartEdge)

  /// Whether it is one of a batch.
  var isPart: Bool {
    switch self {
    case .part, .edge: true
    case .anywhere, .range, .atTriggerByte: false
    }
  }
}

/// Boundaries are those of the file, in bytes: 1, 512, 4096.
public enum TearUnit: Int, Hashable, Sendable, Codable, CaseIterable {
  case byte = 1
  case sector = 512
  case page = 4096
}

/// What is kept of a torn write, what stands in place of the rest, and what the caller is told.
public struct TornWrite: Hashable, Sendable, Codable {
  /// At least one byte is always lost: where everything would be kept, the last part is not.
  public enum Kept: Hashable, Sendable, Codable {
    /// So many bytes from the start.
    case prefix(Int)
    /// So many bytes before the end.
    case suffix(Int)
    /// These of the write's sectors of 512 bytes, from 0.
    case sectors([Int])
    /// A prefix that ends at a boundary of the seed's choice.
    case prefixTo(TearUnit)
    /// A suffix that starts at a boundary of the seed's choice.
    case suffixFrom(TearUnit)
    /// Any set of parts, of the seed's choice.
    case anyOf(TearUnit)
    /// What comes before the byte that the trigger's condition `bytes` counts.
    case upToTriggerByte
  }

  public enum Rest: String, Hashable, Sendable, Codable, CaseIterable {
    /// What was there; beyond the end of the file, nothing.
    case old
    case zero
    /// Bytes of the seed's choice.
    case garbage
  }

  public enum Answer: String, Hashable, Sendable, Codable, CaseIterable {
    /// A device that lies.
    case success
    /// EIO.
    case error
    /// None: the crash handler is called when the kept parts are on the medium (durable, whatever was asked).
    case crash
  }

  public var kept: Kept
  public var rest: Rest
  public var answer: Answer

  public init(kept: Kept, rest: Rest = .old, answer: Answer) {
    self.kept = kept
    self.rest = rest
    self.answer = answer
  }
}

/// How a sync fails; of a durable write (`RWF_DSYNC`) the bytes are in the cache, and the sync within it fails.
public enum SyncFailure: String, Hashable, Sendable, Codable, CaseIterable {
  /// EIO; the pages stay dirty, a later sync makes them durable.
  case leavesDirty = "leaves-dirty"
  /// EIO; the pages count as clean: they stay readable, a later sync succeeds and does not make them durable
  /// ("fsyncgate"; Rebello et al.: file systems always mark them clean, ext4 and XFS keep the new content readable).
  case marksClean = "marks-clean"
  /// Success, although the pages are marked clean like that; the next sync of the file, or directory, says EIO and
  /// leaves its own pages dirty. Rebello et al.: when a failure is reported differs by file system and mode.
  case reportedLate = "reported-late"
}

/// Where a misdirected write lands.
public enum Misdirection: Hashable, Sendable, Codable {
  /// This many bytes away in the same file, not before its start.
  case sameFile(by: Int64)
  /// In another file, which exists, relative to the storage's root.
  case otherFile(String, at: Int64)
  /// In the same file, at a sector boundary of the seed's choice before the file's end; behind its end, where it is
  /// empty.
  case anywhere
}

extension BytePlace {
  /// The bytes to choose from in a pass of `length` bytes, as far as its length tells; nil where there are none.
  func choose(in length: Int, triggerByte: Int? = nil) -> Range<Int>? {
    let all = 0..<length
    let chosen: Range<Int> =
      switch self {
      case .anywhere, .part, .edge: all
      case .range(let range): range.clamped(to: all)
      case .atTriggerByte: min(triggerByte ?? 0, max(length - 1, 0))..<min((triggerByte ?? 0) + 1, length)
      }
    return chosen.isEmpty ? nil : chosen
  }
}
