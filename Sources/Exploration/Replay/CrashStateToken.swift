import CrashStates
import Defects
import LogModel

/// A crash state in one word that a shell leaves alone.
///
/// `x2.m=2.p=1.b=1.z=24.n=1.s=always.g=16384.o=0.i=0-0.d=P1.seed=7.pr=posix-minimal.e=61.k=all_3-0.re=12.rk=none...`
///
/// The last field, `v`, is a check sum of all before it. Tokens of before there was one begin with `x1`, and run, with
/// `warning`: their fingerprint says that the disk is the one that was meant, and nothing of the defect.
///
/// | field | of the workload | | field | of the crash |
/// |---|---|---|---|---|
/// | `m` `p` `n` | messages, partitions, producers | | `pr` | persistence profile |
/// | `b` `z` | messages a batch, bytes a message | | `e` | events of the recording before the power cut |
/// | `s` | sync policy | | `k` | the pieces that were kept, see `KeptPieces` |
/// | `g` | bytes of a segment | | `re` `rk` | the same of a second power cut, inside recovery |
/// | `ck` `to` | 1 with an object store, with a takeover; left out without | | | |
/// | `cm` | groups that commit beside the producers; left out for none | | | |
/// | `o` `i` | 1 with commits of consumer offsets; device faults: short write every, failing sync, failing write | | `h` | fingerprint |
/// | `d` `seed` | defect or `none`, seed | | `y` `r` | system and recovery policy, where it is not `tornlog` |
public enum CrashStateToken {
  /// What every token of a crash state begins with, before a full stop.
  public static let version = "x2"
  /// The same of tokens without a check sum.
  public static let oldVersion = "x1"
  static let seal = TokenSeal(field: "v")

  /// Whether the word begins as a token of a crash state does, of this build or of an older one.
  public static func isCrashState(_ word: String) -> Bool {
    [version, oldVersion].contains { word.hasPrefix($0 + ".") }
  }

  /// What the user of this token should know; nil for nothing.
  public static func warning(for word: String) -> String? {
    word.hasPrefix(oldVersion + ".") ? TokenSeal.Broken.missing : nil
  }

  private static let names = [
    "m", "p", "n", "b", "z", "s", "g", "o", "ck", "to", "cm", "rd", "i", "d", "seed", "pr", "e", "k", "re", "rk", "h",
    "y", "r",
  ]

  public static func encode(_ state: CrashState) -> String {
    let w = state.workload
    // Durations are rendered whole: no dot in them.
    let sync = w.syncPolicy.description.replacing("(", with: "-").replacing(")", with: "")
    var fields = [
      version, "m=\(w.messages)", "p=\(w.partitions)", "n=\(w.producers)", "b=\(w.messagesPerBatch)",
      "z=\(w.messageSize)",
      "s=\(sync)", "g=\(w.segmentBytes)", "o=\(w.commitsOffsets ? 1 : 0)", "i=\(deviceFaults(w.deviceFaults))",
      "d=\(state.defect ?? "none")", "seed=\(w.seed)", "pr=\(state.profile.name)", "e=\(state.cut.event)",
      "k=\(state.cut.kept)",
    ]
    if w.system != .tornlog { fields += ["y=\(w.system.rawValue)", "r=\(w.recoveryPolicy.rawValue)"] }
    if w.checkpoints { fields.append("ck=1") }
    if w.isTakenOver { fields.append("to=1") }
    if w.committers > 0 { fields.append("cm=\(w.committers)") }
    if w.readers > 0 { fields.append("rd=\(w.readers)") }
    if let inner = state.recoveryCut { fields += ["re=\(inner.event)", "rk=\(inner.kept)"] }
    return seal.sealed((fields + ["h=\(fingerprint(state.fingerprint))"]).joined(separator: "."))
  }

  /// Two numbers, or three: tokens of before there was a failing write hold.
  private static func deviceFaults(_ deviceFaults: DeviceFaultPlan) -> String {
    let two = "\(deviceFaults.shortWriteEvery)-\(deviceFaults.failingSync)"
    return deviceFaults.failingWriteEvery > 0 ? "\(two)-\(deviceFaults.failingWriteEvery)" : two
  }

  /// Eight hexadecimal digits.
  public static func fingerprint(_ number: UInt32) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Why a word is no token of a crash state.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case notAToken(String)
    case broken(TokenSeal.Broken)
    case badField(String)
    case missing(String)
    case tooLarge(WorkloadLimit)

    public var description: String {
      switch self {
      case .notAToken(let text): "`\(text.prefix(40))` is no token; \(TokenSeal.Broken.remedy)"
      case .broken(let how): "\(how)"
      case .badField(let field): "the token's field `\(field.prefix(80))` cannot be read; \(TokenSeal.Broken.remedy)"
      case .missing(let name): "the token has no field `\(name)`; \(TokenSeal.Broken.remedy)"
      case .tooLarge(let limit): "the token cannot be explored: \(limit)"
      }
    }
  }

  public static func decode(_ text: String) throws(Failure) -> CrashState {
    let values = try fields(text)
    func value(_ name: String) throws(Failure) -> String {
      guard let value = values[name] else { throw .missing(name) }
      return value
    }
    func read<Value>(_ name: String, _ read: (String) -> Value?) throws(Failure) -> Value {
      let text = try value(name)
      guard let value = read(text) else { throw .badField("\(name)=\(text)") }
      return value
    }
    func number(_ name: String) throws(Failure) -> Int { try read(name) { Self.number($0) } }
    func flag(_ name: String) throws(Failure) -> Bool { try read(name) { ["0": false, "1": true][$0] } }
    var workload = ExplorationWorkload()
    workload.messages = try number("m")
    workload.partitions = try number("p")
    workload.producers = try number("n")
    workload.messagesPerBatch = try number("b")
    workload.messageSize = try number("z")
    workload.syncPolicy = try read("s") { text in
      SyncPolicy(text.hasPrefix("interval-") ? "interval(\(text.dropFirst(9)))" : text)
    }
    workload.segmentBytes = try number("g")
    workload.commitsOffsets = try flag("o")
    if values["ck"] != nil { workload.checkpoints = try flag("ck") }
    if values["to"] != nil { workload.isTakenOver = try flag("to") }
    if values["cm"] != nil { workload.committers = try number("cm") }
    if values["rd"] != nil { workload.readers = try number("rd") }
    workload.deviceFaults = try read("i") { text in
      let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { Self.number(String($0)) }
      guard (2...3).contains(numbers.count), let every = numbers[0], let sync = numbers[1] else { return nil }
      guard let write = numbers.count == 2 ? 0 : numbers[2], numbers.count == 2 || write > 0 else { return nil }
      return DeviceFaultPlan(shortWriteEvery: every, failingSync: sync, failingWriteEvery: write)
    }
    workload.seed = try read("seed") { UInt64($0) }
    if values["y"] != nil {
      workload.system = try read("y") { LogSystem(rawValue: $0) }
      workload.recoveryPolicy = try read("r") { RecoveryPolicy(rawValue: $0) }
    }
    if let limit = workload.exceeded { throw .tooLarge(limit) }
    let defect = try value("d")
    guard defect == "none" || Defect(id: defect) != nil else { throw .badField("d=\(defect)") }
    var inner: CrashState.Cut?
    if values["re"] != nil || values["rk"] != nil {
      inner = CrashState.Cut(event: try number("re"), kept: try read("rk", KeptPieces.init))
    }
    return CrashState(
      workload: workload, defect: defect == "none" ? nil : defect, profile: try read("pr", CrashProfile.named),
      cut: CrashState.Cut(event: try number("e"), kept: try read("k", KeptPieces.init)), recoveryCut: inner,
      fingerprint: try read("h", readFingerprint))
  }

  /// Nil for anything but the digits that `fingerprint` writes.
  public static func readFingerprint(_ text: String) -> UInt32? {
    UInt32(text, radix: 16).flatMap { fingerprint($0) == text ? $0 : nil }
  }

  private static func fields(_ text: String) throws(Failure) -> [String: String] {
    guard isCrashState(text) else { throw .notAToken(text) }
    var body = text
    if !text.hasPrefix(oldVersion + ".") {
      do throws(TokenSeal.Broken) { body = try seal.body(of: text) } catch { throw .broken(error) }
    }
    let words = body.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    var values: [String: String] = [:]
    for word in words.dropFirst() {
      guard let equals = word.firstIndex(of: "=") else { throw .badField(word) }
      let name = String(word[..<equals])
      guard names.contains(name), values.updateValue(String(word[word.index(after: equals)...]), forKey: name) == nil
      else {
        throw .badField(word)
      }
    }
    return values
  }

  /// Digits only.
  private static func number(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    return Int(text)
  }
}
