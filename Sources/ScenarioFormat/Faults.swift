/// The words that scenarios may use and this module cannot know: it sees neither the checks, nor the defects, nor
/// the faults.
public struct Vocabulary: Hashable, Sendable {
  public var checks: [String]
  public var defects: [String]
  public var faults: [FaultGrammar]

  public init(checks: [String], defects: [String], faults: [FaultGrammar] = [.bitFlip]) {
    self.checks = checks
    self.defects = defects
    self.faults = faults
  }
}

/// How one kind of fault is written: `- bit-flip: { target: batch-payload, occurrence: 1, at: rest }`.
public struct FaultGrammar: Hashable, Sendable {
  public struct Parameter: Hashable, Sendable {
    public enum Form: Hashable, Sendable {
      case word([String])
      case integer(ClosedRange<Int>)
      case size
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
