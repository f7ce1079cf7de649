import Defects
import LogModel
import ScenarioFormat
import Storage

/// A field of a trial's token. To add one is to add a line to `all`.
struct TokenField: Sendable {
  let name: String
  /// Whether a token without it is none. A field that was added later has a default, which tokens of before it mean.
  let isRequired: Bool
  /// The value as it stands in a token; nil where it is the default, and left out.
  let write: @Sendable (TrialSpec) -> String?
  /// Takes the value over; false where it is none.
  let read: @Sendable (String, inout TrialSpec) -> Bool

  /// In the order in which they stand in a token; the faults, `f`, come after them. Defaults are for ever: what a token leaves out
  /// must mean the same in every build.
  static let all: [TokenField] = [
    TokenField("sc", \.scenario) { isSlug($0) },
    .number("m", \.messages, Axis.messages.numbers),
    .number("p", \.partitions, Axis.partitions.numbers),
    sync,
    .word("r", \.recovery),
    .word("c", \.crash),
    crashAt,
    TokenField("d", \.defect) { $0 == "none" || Defect(id: $0) != nil },
    .number("b", \.batch, Axis.batch.numbers),
    .number("n", \.producers, Axis.producers.numbers),
    .number("z", \.messageSize, Axis.messageSize.numbers),
    .number("a", \.appendBetween, 0...1_000_000),
    topics,
    seed,
    .word("st", \.storage),
    .word("y", \.system, default: .tornlog),
    checkpoint,
    .word("w", \.writers, default: .one),
    .number("cm", \.committers, Scenario.committers, default: 0),
    .word("k", \.keys, default: MessageKeys.none),
    .word("del", \.deletion, default: DeletionSetup.none),
    .number("rd", \.readers, Axis.readers.numbers, default: 0),
    client,
    delivery,
    onlyIf,
  ] + TrialSpec.loadFields

  private static let sync = TokenField(
    "s", isRequired: true, write: { text($0.syncPolicy) },
    read: { text, spec in
      guard let sync = syncPolicy(text) else { return false }
      spec.sync = sync.description
      return true
    })

  /// `always`, `interval-100ms`, `never`
  static func text(_ policy: SyncPolicy) -> String {
    policy.description.replacing("(", with: "-").replacing(")", with: "")
  }

  /// The reverse of that; nil for anything else.
  static func syncPolicy(_ text: String) -> SyncPolicy? {
    guard text.hasPrefix("interval") == text.hasPrefix("interval-"), !text.contains("(") else { return nil }
    return SyncPolicy(text.hasPrefix("interval-") ? "interval(\(text.dropFirst(9)))" : text)
  }

  private static let crashAt = TokenField(
    "at", isRequired: true, write: { text(of: $0.crashAt) },
    read: { text, spec in
      guard let point = crashPoint(text) else { return false }
      spec.crashAt = point
      return true
    })

  private static let topics = TokenField(
    "t", isRequired: true, write: { $0.topics.map(TokenText.escape).joined(separator: "/") },
    read: { text, spec in
      let words = parts(text)
      let names = words.compactMap(TokenText.unescape)
      guard names.count == words.count, names.allSatisfy(NameRule.topic.allows) else { return false }
      (spec.topic, spec.otherTopics) = (names[0], Array(names.dropFirst()))
      return true
    })

  private static let seed = TokenField(
    "seed", isRequired: true, write: { "\($0.seed)" },
    read: { text, spec in
      guard TokenText.isPlainNumber(text), let seed = UInt64(text) else { return false }
      spec.seed = seed
      return true
    })

  private static let checkpoint = TokenField(
    "ck", write: { $0.checkpointField },
    read: { text, spec in
      guard let checkpoint = TrialSpec.readCheckpoint(text) else { return false }
      (spec.checkpoint, spec.checkpointTerms) = checkpoint
      return true
    })

  private static let client = TokenField(
    "cl", write: { $0.client?.rawValue },
    read: { text, spec in
      spec.client = TrialClient(rawValue: text)
      return spec.client != nil
    })

  private static let delivery = TokenField(
    "dl", write: { $0.delivery.map(text) },
    read: { text, spec in
      spec.delivery = settings(text)
      return spec.delivery != nil
    })

  private static let onlyIf = TokenField(
    "if", write: { $0.onlyIf.isEmpty ? nil : $0.onlyIf.map(\.rawValue).joined(separator: "/") },
    read: { text, spec in
      let words = parts(text)
      spec.onlyIf = words.compactMap(TrialCondition.init(rawValue:))
      return spec.onlyIf.count == words.count
    })

  /// What a token's fields are filled into.
  static let blank = TrialSpec(
    scenario: "", file: "", seed: 0, storage: .auto, messages: 1, partitions: 1, sync: SyncPolicy.always.description,
    recovery: .skipCorrupted, crash: .none, crashAt: .end, defect: "none", batch: 1, producers: 1,
    messageSize: MessageContent.minimumSize, appendBetween: 0, faults: [], phaseSeconds: 120)
}

// MARK: - Kinds of fields

extension TokenField {
  init(
    _ name: String, isRequired: Bool = false, write: @escaping @Sendable (TrialSpec) -> String?,
    read: @escaping @Sendable (String, inout TrialSpec) -> Bool
  ) {
    self.name = name
    self.isRequired = isRequired
    self.write = write
    self.read = read
  }

  /// A text that must pass `isValid`.
  init(_ name: String, _ path: WritableKeyPath<TrialSpec, String>, isValid: @escaping @Sendable (String) -> Bool) {
    nonisolated(unsafe) let path = path
    self.init(
      name, isRequired: true, write: { TokenText.escape($0[keyPath: path]) },
      read: { text, spec in
        guard let value = TokenText.unescape(text), isValid(value) else { return false }
        spec[keyPath: path] = value
        return true
      })
  }

  /// A whole number. Without a `default` every token has it.
  static func number(
    _ name: String, _ path: WritableKeyPath<TrialSpec, Int>, _ range: ClosedRange<Int>, default usual: Int? = nil
  ) -> TokenField {
    nonisolated(unsafe) let path = path
    return TokenField(
      name, isRequired: usual == nil, write: { $0[keyPath: path] == usual ? nil : "\($0[keyPath: path])" },
      read: { text, spec in
        guard TokenText.isPlainNumber(text), let n = Int(text), range.contains(n) else { return false }
        spec[keyPath: path] = n
        return true
      })
  }

  /// One of a list of words. Without a `default` every token has it.
  static func word<Word: RawRepresentable<String> & Equatable & Sendable>(
    _ name: String, _ path: WritableKeyPath<TrialSpec, Word>, default usual: Word? = nil
  ) -> TokenField {
    nonisolated(unsafe) let path = path
    return TokenField(
      name, isRequired: usual == nil,
      write: { $0[keyPath: path] == usual ? nil : TokenText.escape($0[keyPath: path].rawValue) },
      read: { text, spec in
        guard let value = TokenText.unescape(text), let word = Word(rawValue: value) else { return false }
        spec[keyPath: path] = word
        return true
      })
  }

  private static func parts(_ text: String) -> [String] { text.split(separator: "/", omittingEmptySubsequences: false).map(String.init) }
}

// MARK: - Values of several parts

extension TokenField {
  private static func text(of point: CrashPoint) -> String {
    switch point {
    case .end: "end"
    case .percent(let n): "\(n)pc"
    case .messages(let n): "\(n)"
    }
  }

  private static func crashPoint(_ text: String) -> CrashPoint? {
    func number(_ digits: some StringProtocol) -> Int? { TokenText.isPlainNumber(String(digits)) ? Int(digits) : nil }
    if text == "end" { return .end }
    if text.hasSuffix("pc") { return number(text.dropLast(2)).flatMap { (0...100).contains($0) ? .percent($0) : nil } }
    return number(text).map { .messages($0) }
  }

  private static let durations: [(key: String, path: any WritableKeyPath<DeliverySettings, Duration> & Sendable)] = [
    ("ef", \.eventsFor), ("fb", \.firstBackOff), ("lb", \.longestBackOff), ("to", \.timeout), ("sw", \.stopWithin),
  ]

  /// `ef-40s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false`
  private static func text(_ delivery: DeliverySettings) -> String {
    let words = durations.map { "\($0.key)-\(DurationText.render(delivery[keyPath: $0.path]))" }
    return (words + ["ex-\(delivery.isRetried ? "each" : "one")", "ar-\(delivery.archives)"]).joined(separator: "/")
  }

  /// Every part is there, in that order: a field that was cut is no field.
  private static func settings(_ text: String) -> DeliverySettings? {
    let words = parts(text).map { $0.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init) }
    guard words.allSatisfy({ $0.count == 2 }), words.map({ $0[0] }) == durations.map({ $0.key }) + ["ex", "ar"] else { return nil }
    var settings = DeliverySettings()
    for (word, field) in zip(words, durations) {
      guard let duration = DurationText.parse(word[1]) else { return nil }
      settings[keyPath: field.path] = duration
    }
    let (executions, archive) = (words[durations.count][1], words[durations.count + 1][1])
    guard ["one", "each"].contains(executions), ["true", "false"].contains(archive) else { return nil }
    (settings.isRetried, settings.archives) = (executions == "each", archive == "true")
    let isInOrder = settings.firstBackOff > .zero && settings.longestBackOff >= settings.firstBackOff && settings.timeout > .zero
    return isInOrder ? settings : nil
  }

  /// `bit-flip/at-rest/target-batch-payload`: the kind, then the parameters by name.
  static func text(of fault: FaultSpec) -> String {
    let parameters = fault.parameters.sorted { $0.key < $1.key }.map { "\($0.key)-\(TokenText.escape($0.value))" }
    return ([fault.kind] + parameters).joined(separator: "/")
  }

  /// - Parameter field: the whole field, for messages.
  static func fault(_ value: String, _ field: String) throws(Token.Failure) -> FaultSpec {
    let parts = parts(value)
    let known = TrialPlanner.vocabulary.faults
    guard let grammar = known.first(where: { $0.kind == parts[0] }) else {
      throw .unknownFault(parts[0], known: known.map(\.kind))
    }
    var parameters: [String: String] = [:]
    for part in parts.dropFirst() {
      // Names may hold a dash themselves: the longest that fits.
      let names = grammar.parameters.map(\.name).filter { part.hasPrefix($0 + "-") }
      guard let name = names.max(by: { $0.count < $1.count }), let value = TokenText.unescape(String(part.dropFirst(name.count + 1))),
        !value.isEmpty, parameters.updateValue(value, forKey: name) == nil
      else { throw .badField(field) }
    }
    if let problem = grammar.problems(in: parameters).first { throw .badFault(field, problem) }
    return FaultSpec(kind: grammar.kind, parameters: parameters)
  }
}

/// The characters of a token's values.
enum TokenText {
  /// Every byte but `A-Z a-z 0-9 - _ + ,` as `%` and two hexadecimal digits.
  static func escape(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      if isPlain(byte) {
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += "%" + (digits.count < 2 ? "0" : "") + digits
      }
    }
    return escaped
  }

  /// Nil for what `escape` does not make.
  static func unescape(_ text: String) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard let plain = String(validating: bytes, as: UTF8.self), escape(plain) == text else { return nil }
    return plain
  }

  /// Digits without a zero in front: what a number is printed as.
  static func isPlainNumber(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } && (text == "0" || text.first != "0")
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: ","):
      true
    default: false
    }
  }
}
