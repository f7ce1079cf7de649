import LogModel

/// The words that scenarios may use and this module cannot know: it sees neither the checks, nor the defects, nor
/// the faults.
public struct Vocabulary: Sendable {
  public var checks: [String]
  public var defects: [String]
  public var faults: [FaultGrammar]
  /// Persistence profiles of the exploration.
  public var profiles: [String]
  /// Nil: any batch will do.
  public var batchLimit: BatchLimit?
  /// Why defects that are all known, `C4+P9`, cannot be switched on together; nil where they can.
  public var defectClash: @Sendable (String) -> String?

  public init(
    checks: [String], defects: [String], faults: [FaultGrammar] = [.bitFlip], profiles: [String] = [],
    batchLimit: BatchLimit? = nil, defectClash: @escaping @Sendable (String) -> String? = { _ in nil }
  ) {
    self.checks = checks
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

/// How one kind of fault is written: `- bit-flip: { target: batch-payload, at: rest }`.
public struct FaultGrammar: Sendable {
  public struct Parameter: Hashable, Sendable {
    public enum Form: Hashable, Sendable {
      case word([String])
      case integer(ClosedRange<Int>)
      case size
      case duration
      /// Whole numbers from 0, separated by commas: `0,2,5`.
      case numbers
      case anyText
    }

    public var name: String
    public var form: Form
    public var isRequired: Bool
    /// Words that somebody may well expect and that mean nothing here, each with the reason: `it has none, so that ...`.
    public var impossible: [String: String]

    public init(_ name: String, _ form: Form, isRequired: Bool = false, impossible: [String: String] = [:]) {
      self.name = name
      self.form = form
      self.isRequired = isRequired
      self.impossible = impossible
    }
  }

  public var kind: String
  public var parameters: [Parameter]
  /// It is what a receiver of events does, or an operator with job logs, and no fault of a disk.
  public var isOfDelivery: Bool
  /// What is wrong with parameters, by name, that are each in order and do not go together.
  public var contradictions: @Sendable ([String: String]) -> [FaultContradiction]

  public init(
    _ kind: String, _ parameters: [Parameter], isOfDelivery: Bool = false,
    contradictions: @escaping @Sendable ([String: String]) -> [FaultContradiction] = { _ in [] }
  ) {
    self.kind = kind
    self.parameters = parameters
    self.isOfDelivery = isOfDelivery
    self.contradictions = contradictions
  }

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
    return found + contradictions(given).map { .contradiction(of: kind, $0) }
  }

  /// One bit of what a partition's log holds turns over while no engine has it open.
  public static let bitFlip = FaultGrammar(
    "bit-flip",
    [
      Parameter("target", .word(["batch-payload"]), isRequired: true),
      Parameter("occurrence", .integer(1...1_000_000)),
      Parameter("at", .word(["rest"])),
    ])
}

/// A fault that would never fire, or of whose words some would be passed over.
public struct FaultContradiction: Hashable, Sendable {
  /// The parameter at whose place it is shown.
  public var parameter: String
  public var because: String
  /// What to do.
  public var remedy: String

  public init(_ parameter: String, because: String, remedy: String) {
    self.parameter = parameter
    self.because = because
    self.remedy = remedy
  }
}

/// One fault of a scenario, checked against its grammar, and where it stands in the file.
public struct PlacedFault: Hashable, Sendable {
  public var fault: FaultSpec
  public var position: SourcePosition
}
