import LogModel

/// The words that scenarios may use and this module cannot know: it sees neither the checks, nor the defects, nor
/// the faults.
public struct Vocabulary: Sendable {
  public var checks: [String]
  /// Names of checks in the version before, with those of now.
  public var formerChecks: [String: String]
  public var defects: [String]
  public var faults: [FaultDescriptor]
  /// Persistence profiles of the exploration.
  public var profiles: [String]
  /// Nil: any batch will do.
  public var batchLimit: BatchLimit?
  /// Why defects that are all known, `C4+P9`, cannot be switched on together; nil where they can.
  public var defectClash: @Sendable (String) -> String?

  public init(
    checks: [String], formerChecks: [String: String] = [:], defects: [String], faults: [FaultDescriptor] = [],
    profiles: [String] = [],
    batchLimit: BatchLimit? = nil, defectClash: @escaping @Sendable (String) -> String? = { _ in nil }
  ) {
    self.checks = checks
    self.formerChecks = formerChecks
    self.defects = defects
    self.faults = faults
    self.profiles = profiles
    self.batchLimit = batchLimit
    self.defectClash = defectClash
  }
}

/// How large a batch, the messages of one produce request, the engine takes. All in bytes.
public struct BatchLimit: Hashable, Sendable {
  public var bytes: Int
  /// What the engine adds to a batch, and to each of its messages.
  public var overhead: Int
  public var messageOverhead: Int

  public init(bytes: Int, overhead: Int, messageOverhead: Int) {
    self.bytes = bytes
    self.overhead = overhead
    self.messageOverhead = messageOverhead
  }

  /// Bytes of a batch as the engine counts them, or `Int.max`.
  public func size(messages: Int, of messageSize: Int) -> Int {
    let (bytes, overflow) = messages.multipliedReportingOverflow(by: messageSize + messageOverhead)
    return overflow || bytes > Int.max - overhead ? Int.max : bytes + overhead
  }

  public func allows(messages: Int, of messageSize: Int) -> Bool { size(messages: messages, of: messageSize) <= bytes }
}

extension FaultDescriptor {
  /// Everything that is wrong with parameters that did not pass the parser: those of a token.
  public func problems(in given: [String: String]) -> [ScenarioProblem] {
    var found: [ScenarioProblem] = []
    for parameter in parameters {
      guard let text = given[parameter.name] else {
        if parameter.isRequired { found.append(.missingKey(parameter.name, in: kind)) }
        continue
      }
      do throws(ScenarioProblem) { try parameter.check(text) } catch { found.append(error) }
    }
    return found + contradictions(FaultWords(given)).map { .contradiction(of: kind, $0) }
  }
}

/// One fault of a scenario, checked against its grammar, and where it stands in the file.
public struct PlacedFault: Hashable, Sendable {
  public var fault: FaultSpec
  public var position: SourcePosition
}
