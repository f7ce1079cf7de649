import LogModel

/// Which format a file has.
public enum FormatDetector {
  static func format(_ system: LogSystem) -> any LogFormat {
    switch system {
    case .tornlog: SegmentFormat()
    case .streamhouse: StreamhouseFormat()
    case .airunner: AirunnerFormat()
    case .chronik: ChronikV2Format()
    case .chronikV1: ChronikV1Format()
    case .replayBuffer: ReplayBufferFormat()
    }
  }

  /// How far entries are looked for; further where there are none, for one entry may have 16 MiB.
  private static let depths: [Int64] = [1 << 20, 40 << 20]

  /// The format of which an entry stands at the head of the file. Else the one of which most bytes are entries near it.
  /// Else the one whose magic stands there with at most one wrong bit.
  /// - Returns: nil where nothing tells.
  public static func detect(_ source: any ByteSource) throws(LogToolError) -> LogSystem? {
    for depth in depths {
      let window = try ByteWindow(source, limit: depth)
      if let system = first(window) { return system }
      var best: (system: LogSystem, bytes: Int64)?
      for system in LogSystem.allCases {
        let bytes = entryBytes(LogReader(window, format(system)), window)
        if let failure = window.failure { throw failure }
        if bytes > best?.bytes ?? 0 { best = (system, bytes) }
      }
      if let best { return best.system }
      if window.size < depth { break }
    }
    return byMagic(try ByteWindow(source, limit: 4096))
  }

  private static func first(_ window: ByteWindow) -> LogSystem? {
    LogSystem.allCases.first { system in
      var format = format(system)
      let head = format.begin(window)
      return head.damage.isEmpty && head.end < window.size && format.examine(window, head.end).fault == nil
    }
  }

  /// Bytes of the first entries, at most 64 of them.
  private static func entryBytes(_ reader: LogReader, _ window: ByteWindow) -> Int64 {
    var (bytes, steps) = (Int64(0), 0)
    // Every format looks for its own, so that none may use up the others' work.
    window.work = 0
    while steps < 64 {
      steps += 1
      guard let step = try? reader.next() else { return 0 }
      switch step {
      case .entry(let entry): bytes += entry.length
      case .damage, .remains: continue
      case .end: return bytes
      }
    }
    return bytes
  }

  private static func byMagic(_ window: ByteWindow) -> LogSystem? {
    guard window.size > 0 else { return nil }
    let found = window.bytes(0..<min(8, window.size))
    let magics: [(LogSystem, [UInt8])] = [
      (.tornlog, Array("TORNLOG1".utf8)), (.airunner, Array("ARWAL001".utf8)), (.replayBuffer, Array("RPB1".utf8)),
      (.chronik, [0x7E, 0xCA, 2]), (.chronikV1, [0x7E, 0xCA, 1]),
    ]
    func wrongBits(_ magic: [UInt8], _ found: [UInt8]) -> Int {
      guard found.count >= magic.count else { return 99 }
      return zip(magic, found).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
    }
    if let whole = magics.first(where: { wrongBits($0.1, found) == 0 }) { return whole.0 }
    // The magic of chronik is short: one wrong bit of it leaves too little.
    if let near = magics.first(where: { $0.1.count > 3 && wrongBits($0.1, found) == 1 }) { return near.0 }
    if window.size >= 2056, wrongBits(magics[0].1, window.bytes(2048..<2056)) <= 1 { return .tornlog }
    return nil
  }
}
