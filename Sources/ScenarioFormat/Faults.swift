/// The words that scenarios may use and this module cannot know: it sees neither the checks, nor the defects, nor
/// the faults.
public struct Vocabulary: Hashable, Sendable {
  public var checks: [String]
  public var defects: [String]
  public var faults: [FaultGrammar]
  /// Persistence profiles of the exploration.
  public var profiles: [String]
  /// Nil: any batch will do.
  public var batchLimit: BatchLimit?

  public init(
    checks: [String], defects: [String], faults: [FaultGrammar] = [.bitFlip], profiles: [String] = [],
    batchLimit: BatchLimit? = nil
  ) {
    self.checks = checks
    self.defects = defects
    self.faults = faults
    self.profiles = profiles
    self.batchLimit = batchLimit
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

/// How one kind of fault is written: `- bit-flip: { target: batch-payload, occurrence: 1, at: rest }`.
public struct FaultGrammar: Hashable, Sendable {
  public struct Parameter: Hashable, Sendable {
    public enum Form: Hashable, Sendable {
      case word([String])
      case integer(ClosedRange<Int>)
      case size
      case duration
      case anyText
    }

    public var name: String
    public var form: Form
    public var isRequired: Bool

    public init(_ name: String, _ form: Form, isRequired: Bool = false) {
      self.name = name
      self.form = form
      self.isRequired = isRequired
    }
  }

  public var kind: String
  public var parameters: [Parameter]

  public init(_ kind: String, _ parameters: [Parameter]) {
    self.kind = kind
    self.parameters = parameters
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

/// One fault of a cell, checked against its grammar; what it does is `FaultInjection`'s business.
public struct FaultSpecification: Hashable, Sendable {
  public struct Parameter: Hashable, Sendable {
    public var name: String
    public var value: String
    public var position: SourcePosition
  }

  public var kind: String
  public var parameters: [Parameter]
  public var position: SourcePosition

  public subscript(name: String) -> String? { parameters.first { $0.name == name }?.value }
}
