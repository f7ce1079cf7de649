import LogModel

/// `wal repair`: a damaged file mended into a new one.
public struct LogRepair {
  public let input: String
  public let output: String
  public let system: LogSystem
  public let mend: LogMend
  /// Of the new file in bytes.
  public let size: Int64
  /// Offsets that the new file does not have between its first and its last.
  public let missing: [Range<Int64>]
  /// Whether the new file reads back as a log of valid records and nothing else.
  public let isSound: Bool

  /// - Throws: `exists`, `sameFile`, `inUse`; whatever reading and writing throw. Then there is no output.
  public init(
    _ input: String, into output: String, format: LogSystem? = nil, policy: LogMend.Policy, fixingBits: Bool,
    isForced: Bool = false
  ) throws(LogToolError) {
    try Folders.requireDifferent(input, output)
    let folder = try LogFolder(input)
    guard let log = folder.logs.first, log.paths == [input] else {
      throw .refused(path: input, why: "is a folder; repair its files one by one")
    }
    let lock = try LogLock.take(log, isForced: isForced)
    defer { withExtendedLifetime(lock) {} }
    let file = try LogFile(input, format: format)
    let target = try NewFile(output)
    mend = try LogMend.mend(file.reader, target, policy, fixingBits)
    guard mend.records > 0 || mend.skipped == 0 else {
      throw .refused(path: input, why: "holds no valid record; nothing was written")
    }
    _ = try target.written()
    target.takeAttributes(of: try file.source.status())
    try target.finish()
    (self.input, self.output, system, size) = (input, output, file.system, target.size)
    let check = try LogCheck(LogFiles(name: output, paths: [output]), format: file.system, acceptsGaps: true)
    missing = check.findings.filter { $0.kind == .gap }.compactMap(\.offsets)
    isSound = check.isSound && check.entries == mend.records && !check.findings.contains { $0.kind == .tornTail }
  }
}
