import LogModel

/// Which program runs, on what, with which bug, and who else writes.
public struct SetupAxes: Hashable, Sendable, Codable {
  /// Nil: the command line decides.
  public var storage: StorageChoice?
  /// Nil for the unmodified engine.
  public var defect: String?
  /// The fault case, where the matrix has several; its faults are among the trial's.
  public var fault: String?
  /// Nil for an engine with partitions, or for `delivery`.
  public var client: TrialClient?
  /// Two writers take a crash at the end of the workload.
  public var writers = WriterSetup.one
  /// In whose format the engine keeps its logs.
  public var system = LogSystem.tornlog
  public var checkpoint = CheckpointSetup.none
  public var checkpointTerms = CheckpointTerms()

  public init() {}
}

extension AxisDescriptor {
  static let ofSetup: [AxisDescriptor] = [storage, defect, fault, client, writers, system, checkpoint]

  public static let storage = AxisDescriptor(
    "storage", \.setup.storage, .storage, token: .always("st"), usual: .commandLine, mention: .never,
    meaning: "io_uring on files, plain system calls on files, or a model in virtual time")

  public static let defect = AxisDescriptor(
    "defect", \.setup.defect, .defect, token: .always("d"), tokenForm: defectToken, mention: .always, isExplored: true,
    meaning: "a bug that is put into the engine")

  public static let fault = AxisDescriptor(
    "fault", \.setup.fault, .faultCase, token: nil, mention: .never, isExplored: true,
    meaning: "the faults of that case, beside those of `faults`")

  public static let client = AxisDescriptor(
    "client", \.setup.client, .optional(.word("client"), none: "none"), token: .ifUnusual("cl"), mention: .never,
    isExplored: true, storageNeed: { $0.client == nil ? nil : .memory },
    meaning: "a program in place of the engine; see [Clients](#clients)"
  ) { settings in
    guard let client = settings.client else { return nil }
    // Only transactions crash; a crash that nobody makes would be believed to have been survived.
    guard client == .transactions || settings.crash == CrashKind.none && settings.crashAt == .end else {
      return "crash: none, for it does not crash"
    }
    let isPlain = settings.faults.isEmpty && settings.otherTopics.isEmpty && settings.onlyIf.isEmpty
    let isAlone = settings.delivery == nil && settings.exploration == nil && settings.checkpoint == .none
    guard settings.storage == .memory, settings.writers == .one, settings.system == .tornlog, isPlain, isAlone else {
      return "storage: memory, and no faults, writers, system, checkpoint, delivery, exploration, other-topics or "
        + "only-if beside it"
    }
    guard settings.sync == .always, settings.recovery == .skipCorrupted else {
      return "no sync and recovery beside it, for it has the policies of its own document"
    }
    return client == .pendingEvents && settings.messages <= 1000 ? "more than 1000 messages" : nil
  }

  public static let writers = AxisDescriptor(
    "writers", \.setup.writers, .word("writers"), token: .ifUnusual("w"), isExplored: true,
    storageNeed: { settings in
      switch settings.writers {
      case .secondProcess: .files
      // On files a lease that is renewed in time is the machine's business, not the engine's.
      case .holderLives: .memory
      default: nil
      }
    },
    meaning: "who else writes, or tries to; see [Writers](#writers)"
  ) { settings in
    if settings.writers == .holderLives {
      if !settings.faults.isEmpty || settings.system != .tornlog {
        return "another one with faults, or another system than tornlog"
      }
      guard let storage = settings.storage, storage != .memory else { return nil }
      return "another one on storage=\(storage.rawValue)"
    }
    guard settings.writers != .one, settings.system != .tornlog, settings.exploration == nil else { return nil }
    return "one with system=\(settings.system.rawValue), for writers take over through the engine's own log"
  }

  public static let system = AxisDescriptor(
    "system", \.setup.system, .word("system"), token: .ifUnusual("y"), isExplored: true,
    meaning: "in whose format the engine keeps its logs")

  public static let checkpoint = AxisDescriptor(
    "checkpoint", \.setup.checkpoint, .word("checkpoint"), token: .ifUnusual("ck"), tokenForm: checkpointToken,
    isExplored: true, smaller: { now in Array(CheckpointSetup.allCases.prefix { $0 != now }) },
    meaning: "whether there is an object store. `background` goes by the policy, `flushed` also brings everything "
      + "there once the workload is answered. With a key `checkpoint` the default is `background`"
  ) { settings in
    guard settings.checkpoint != .none, settings.system != .tornlog, settings.exploration == nil else { return nil }
    return "none with system=\(settings.system.rawValue), for only the engine's own log goes to an object store"
  }

  // MARK: Fields of tokens

  /// `none` stands in a token too.
  private static let defectToken = AxisToken.Form(
    write: { TokenText.escape($0.defect ?? "none") },
    read: { text, vocabulary, settings in
      guard let word = TokenText.unescape(text) else { return false }
      do throws(ScenarioProblem) {
        settings.defect = try AxisNotation<String?>.defect.parse(word, "defect", vocabulary)
        return true
      } catch {
        return false
      }
    })

  /// With the policy: `flushed/20ms/65536/65536/2s/none/100ms`.
  private static let checkpointToken = AxisToken.Form(
    write: { settings in
      guard settings.checkpoint != .none else { return nil }
      let terms = settings.checkpointTerms
      return [
        settings.checkpoint.rawValue, DurationText.render(terms.every), "\(terms.bytes)", "\(terms.objectBytes)",
        DurationText.render(terms.timeout), terms.mostWaiting.map { "\($0)" } ?? "none",
        DurationText.render(terms.patience),
      ].joined(separator: "/")
    },
    read: { text, _, settings in
      let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      func duration(_ text: String) -> Duration? {
        DurationText.parse(text).flatMap { $0 > .zero && $0 <= .seconds(86_400) ? $0 : nil }
      }
      func size(_ text: String) -> Int? { Int(text).flatMap { $0 > 0 ? $0 : nil } }
      guard parts.count == 7, let setup = CheckpointSetup(rawValue: parts[0]), let every = duration(parts[1]),
        let bytes = size(parts[2]), let objectBytes = size(parts[3]), let timeout = duration(parts[4]),
        CheckpointTerms.objectSizes.contains(objectBytes), parts[5] == "none" || size(parts[5]) != nil,
        let patience = duration(parts[6])
      else { return false }
      var terms = CheckpointTerms()
      (terms.every, terms.bytes, terms.objectBytes, terms.timeout) = (every, bytes, objectBytes, timeout)
      (terms.mostWaiting, terms.patience) = (size(parts[5]), patience)
      (settings.checkpoint, settings.checkpointTerms) = (setup, terms)
      return true
    })
}

extension AxisNotation<StorageChoice?> {
  /// A scenario leaves the storage out for the command line to choose; a token may say `auto`.
  fileprivate static var storage: Self {
    let known = StorageChoice.allCases.filter { $0 != .auto }.map(\.rawValue)
    return AxisNotation(
      form: AxisForm(.words, words: known),
      parse: { (text, _, _) throws(ScenarioProblem) in
        guard known.contains(text) else { throw .unknownWord(text, of: "storage", known: known) }
        return StorageChoice(rawValue: text)
      },
      render: { .text(($0 ?? .auto).rawValue) },
      restore: { value in value == .text("auto") ? .some(nil) : StorageChoice(rawValue: value.description).map { $0 } },
      write: { TokenText.escape(($0 ?? .auto).rawValue) },
      read: { text, _ in TokenText.unescape(text).flatMap { StorageChoice(rawValue: $0) }.map { $0 } })
  }
}

extension AxisNotation<String?> {
  /// `none`, an id, or several at once: `C4+P9`.
  fileprivate static var defect: Self {
    word(
      AxisForm(
        .words, words: ["none"], pattern: #"[A-Z][0-9]+[a-z]?(\+[A-Z][0-9]+[a-z]?)+"#,
        text: ", an id of [defects.md](defects.md), or several at once, `C4+P9`")
    ) { (text, vocabulary) throws(ScenarioProblem) in
      let ids = text.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
      guard ids.count > 1 else {
        let known = ["none"] + vocabulary.defects
        guard known.contains(text) else { throw .unknownWord(text, of: "defect", known: known) }
        return
      }
      for id in ids where !vocabulary.defects.contains(id) {
        throw .unknownWord(id, of: "defect", known: vocabulary.defects)
      }
      if let reason = vocabulary.defectClash(text) { throw .impossibleWord(text, of: "defect", because: reason) }
    }
  }

  /// One of the scenario's own `fault-cases`: its parser checks the name.
  fileprivate static var faultCase: Self {
    word(
      AxisForm(.words, words: ["none"], pattern: "[a-z0-9-]+", text: ", or a name of `fault-cases`")
    ) { _, _ throws(ScenarioProblem) in }
  }

  private static func word(
    _ form: AxisForm, _ check: @escaping @Sendable (String, Vocabulary) throws(ScenarioProblem) -> Void
  ) -> Self {
    AxisNotation(
      form: form,
      parse: { (text, _, vocabulary) throws(ScenarioProblem) in
        try check(text, vocabulary)
        return text == "none" ? nil : text
      },
      render: { .text($0 ?? "none") }, restore: { .some($0 == .text("none") ? nil : $0.description) },
      write: { TokenText.escape($0 ?? "none") }, read: { _, _ in nil })
  }
}
