/// The field of a trial's token that says the value of an axis.
public struct AxisToken: Sendable {
  /// Its name, and whether it is always there. A field that is left out means the axis' default, for ever.
  enum Key: Hashable, Sendable {
    case always(String)
    case ifUnusual(String)

    var name: String {
      switch self {
      case .always(let name), .ifUnusual(let name): name
      }
    }
  }

  /// From settings to the field's text, and back.
  struct Form: Sendable {
    /// Nil where the field is left out.
    var write: @Sendable (TrialSettings) -> String?
    /// False for a text that is no value.
    var read: @Sendable (String, Vocabulary, inout TrialSettings) -> Bool

    static func value<Value: Hashable & Sendable>(
      _ path: any WritableKeyPath<TrialSettings, Value> & Sendable, _ notation: AxisNotation<Value>, _ key: Key
    ) -> Form {
      let usual = TrialSettings()[keyPath: path]
      return Form(
        write: { settings in
          let value = settings[keyPath: path]
          if case .ifUnusual = key, value == usual { return nil }
          return notation.write(value)
        },
        read: { text, vocabulary, settings in
          guard let value = notation.read(text, vocabulary) else { return false }
          settings[keyPath: path] = value
          return true
        })
    }
  }

  public let name: String
  /// Whether a token without it is none.
  public let isRequired: Bool
  private let form: Form

  init(_ key: Key, _ form: Form) {
    (name, self.form) = (key.name, form)
    if case .always = key { isRequired = true } else { isRequired = false }
  }

  /// The value as it stands in a token; nil where it is the default, and left out.
  public func write(_ settings: TrialSettings) -> String? { form.write(settings) }

  /// Takes the value over; false where it is none.
  public func read(_ text: String, vocabulary: Vocabulary, into settings: inout TrialSettings) -> Bool {
    form.read(text, vocabulary, &settings)
  }
}
