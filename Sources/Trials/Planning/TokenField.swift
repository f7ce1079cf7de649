import LogModel
import ScenarioFormat

/// A field of a trial's token. An axis brings its own.
struct TokenField: Sendable {
  let name: String
  /// Whether a token without it is none. A field that was added later has a default, which tokens of before it mean.
  let isRequired: Bool
  /// The value as it stands in a token; nil where it is the default, and left out.
  let write: @Sendable (TrialSpec) -> String?
  /// Takes the value over; false where it is none.
  let read: @Sendable (String, inout TrialSpec) -> Bool

  /// In the order in which they stand in a token; the faults, `f`, come after them. Defaults are for ever: what a
  /// token leaves out must mean the same in every build.
  static let all: [TokenField] = {
    let fields = own + AxisDescriptor.all.compactMap(\.token).map(TokenField.init(ofAxis:))
    func place(_ field: TokenField) -> Int { order.firstIndex(of: field.name) ?? order.count }
    return fields.enumerated().sorted { (place($0.element), $0.offset) < (place($1.element), $1.offset) }.map(\.element)
  }()

  /// Tokens that have been printed have this order. Fields of later axes stand behind it.
  private static let order = [
    "sc", "m", "p", "s", "r", "c", "at", "d", "b", "n", "z", "a", "t", "seed", "st", "y", "ck", "w", "cm", "k", "del",
    "rd", "cl", "dl", "if", "c2", "pa", "ls", "pr", "fo",
  ]

  /// Those that are of no axis.
  private static let own = [
    TokenField(
      "sc", isRequired: true, write: { TokenText.escape($0.scenario) },
      read: { text, spec in
        guard let name = TokenText.unescape(text), isSlug(name) else { return false }
        spec.scenario = name
        return true
      }),
    number("a", \.appendBetween, 0...1_000_000, isRequired: true),
    topics, seed,
    number("cm", \.committers, Scenario.committers),
    delivery, onlyIf,
  ]

  private init(ofAxis token: AxisToken) {
    self.init(
      token.name, isRequired: token.isRequired, write: { token.write($0.settings) },
      read: { text, spec in token.read(text, vocabulary: TrialPlanner.vocabulary, into: &spec.settings) })
  }

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

  private static let delivery = TokenField(
    "dl", write: { $0.settings.delivery.map(text) },
    read: { text, spec in
      spec.delivery = settings(text)
      return spec.settings.delivery != nil
    })

  private static let onlyIf = TokenField(
    "if", write: { $0.onlyIf.isEmpty ? nil : $0.onlyIf.map(\.rawValue).joined(separator: "/") },
    read: { text, spec in
      let words = parts(text)
      spec.onlyIf = words.compactMap(TrialCondition.init(rawValue:))
      return spec.onlyIf.count == words.count
    })

  /// What a token's fields are filled into.
  static let blank: TrialSpec = {
    var settings = TrialSettings()
    settings.appendBetween = 0
    return TrialSpec(scenario: "", file: "", seed: 0, storage: .auto, settings: settings, phaseSeconds: 120)
  }()
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

  /// A whole number; 0 where it is left out.
  private static func number(
    _ name: String, _ path: any WritableKeyPath<TrialSettings, Int> & Sendable, _ range: ClosedRange<Int>,
    isRequired: Bool = false
  ) -> TokenField {
    TokenField(
      name, isRequired: isRequired,
      write: { $0.settings[keyPath: path] == 0 && !isRequired ? nil : "\($0.settings[keyPath: path])" },
      read: { text, spec in
        guard TokenText.isPlainNumber(text), let n = Int(text), range.contains(n) else { return false }
        spec.settings[keyPath: path] = n
        return true
      })
  }

  private static func parts(_ text: String) -> [String] {
    text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
  }
}

// MARK: - Values of several parts

extension TokenField {
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
    let words = parts(text).map {
      $0.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    }
    guard words.allSatisfy({ $0.count == 2 }), words.map({ $0[0] }) == durations.map({ $0.key }) + ["ex", "ar"] else {
      return nil
    }
    var settings = DeliverySettings()
    for (word, field) in zip(words, durations) {
      guard let duration = DurationText.parse(word[1]) else { return nil }
      settings[keyPath: field.path] = duration
    }
    let (executions, archive) = (words[durations.count][1], words[durations.count + 1][1])
    guard ["one", "each"].contains(executions), ["true", "false"].contains(archive) else { return nil }
    (settings.isRetried, settings.archives) = (executions == "each", archive == "true")
    let isInOrder =
      settings.firstBackOff > .zero && settings.longestBackOff >= settings.firstBackOff && settings.timeout > .zero
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
    guard let grammar = known.first(where: { $0.isCalled(parts[0]) }) else {
      throw .unknownFault(parts[0], known: known.map(\.kind))
    }
    var parameters: [String: String] = [:]
    for part in parts.dropFirst() {
      // Names may hold a dash themselves: the longest that fits.
      let names = grammar.parameters.map(\.name).filter { part.hasPrefix($0 + "-") }
      guard let name = names.max(by: { $0.count < $1.count }),
        let value = TokenText.unescape(String(part.dropFirst(name.count + 1))),
        !value.isEmpty, let parameter = grammar.parameters.first(where: { $0.name == name }),
        parameters.updateValue(parameter.former[value] ?? value, forKey: name) == nil
      else { throw .badField(field) }
    }
    if let problem = grammar.problems(in: parameters).first { throw .badFault(field, problem) }
    return FaultSpec(kind: grammar.kind, parameters: parameters)
  }
}
