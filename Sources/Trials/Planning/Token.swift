import LogModel
import ScenarioFormat
import Storage

/// A trial in one word that a shell leaves alone: all of `TrialSpec` that decides the outcome, so that it can be
/// repeated on another machine without the scenario's file.
///
/// `t2.sc=ten-vs-hundred.m=100.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=C2b. ...
/// .seed=42.st=ring.f=....h=0f3a99c1`
///
/// A full stop separates fields, `=` a field's name from its value, `/` the parts of a value. Every other byte than
/// `A-Z a-z 0-9 - _ + ,` of a value stands as `%` and two hexadecimal digits. `TokenField.all` has the fields. The last
/// one, `h`, is a check sum of everything before it: whoever cuts the word anywhere, or changes a character, has no
/// token any more.
///
/// Tokens of before there was a check sum begin with `t1`, and have neither `h` nor `%`. They run, with `warning`.
public enum Token {
  /// What every token of a trial begins with, before a full stop.
  public static let version = "t2"
  /// The same of tokens without a check sum.
  public static let oldVersion = "t1"

  /// Whether the word begins as a token of a trial does, of this build or of an older one.
  public static func isTrial(_ word: String) -> Bool { [version, oldVersion].contains { word.hasPrefix($0 + ".") } }

  /// What the user of this token should know; nil for nothing.
  public static func warning(for word: String) -> String? {
    guard word.hasPrefix(oldVersion + ".") else { return nil }
    return TokenSeal.Broken.missing
  }

  public static func encode(_ spec: TrialSpec) -> String {
    var words = [version]
    for field in TokenField.all {
      if let text = field.write(spec) { words.append("\(field.name)=\(text)") }
    }
    words += spec.faults.map { "f=" + TokenField.text(of: $0) }
    return seal.sealed(words.joined(separator: "."))
  }

  static let seal = TokenSeal(field: "h")

  /// - Throws: `Failure`. A word with a check sum that fits and a field that cannot be read is of another build.
  public static func decode(_ word: String) throws(Failure) -> TrialSpec {
    let hasCheckSum = word.hasPrefix(version + ".")
    guard hasCheckSum || word.hasPrefix(oldVersion + ".") else { throw .notAToken(word) }
    var body = word
    if hasCheckSum { do throws(TokenSeal.Broken) { body = try seal.body(of: word) } catch { throw .broken(error) } }
    let texts = body.split(separator: ".", omittingEmptySubsequences: false).dropFirst().map(String.init)
    var values: [String: String] = [:]
    var faults: [FaultSpec] = []
    for text in texts {
      guard let equals = text.firstIndex(of: "=") else { throw .badField(text) }
      let (name, value) = (String(text[..<equals]), String(text[text.index(after: equals)...]))
      if name == "f" {
        faults.append(try TokenField.fault(value, text))
        continue
      }
      guard TokenField.all.contains(where: { $0.name == name }) else { throw .unknownField(name) }
      guard !value.isEmpty else { throw .emptyField(name) }
      guard values.updateValue(value, forKey: name) == nil else { throw .repeatedField(name) }
    }
    var spec = TokenField.blank
    spec.faults = faults
    for field in TokenField.all {
      guard let text = values[field.name] else {
        if field.isRequired { throw .missing(field.name) }
        continue
      }
      guard field.read(text, &spec) else { throw .badField("\(field.name)=\(text)") }
    }
    try check(spec)
    return spec
  }

  /// What fields that are each in order must not say together.
  private static func check(_ spec: TrialSpec) throws(Failure) {
    let limit = TrialPlanner.batchLimit
    let bytes = spec.messageSize + spec.keys.largest
    guard limit.allows(messages: spec.batch, of: bytes) else {
      throw .batchTooLarge(bytes: limit.size(messages: spec.batch, of: bytes), limit: limit.bytes)
    }
    if let problem = spec.problem { throw .notOfSystem(problem) }
  }
}
