import Defects
import Exploration
import FaultInjection
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification
import WriteAheadLog

/// From the cells of scenarios to trials.
public enum TrialPlanner {
  /// The words that scenarios may use.
  public static let vocabulary = Vocabulary(
    checks: CheckName.allCases.map(\.rawValue), defects: Defect.all.map(\.id),
    faults: AtRestFaultGrammar.grammars + StorageFaultGrammar.grammars + ObjectStoreFaultGrammar.grammars + ReceiverFaultGrammar.grammars
      + [DiskSpaceRecovery.grammar, RecoveryRunbook.grammar],
    profiles: CrashProfile.known.map(\.name), batchLimit: batchLimit,
    defectClash: { text in
      do throws(DefectClash) { _ = try Defect.named(text) } catch { return "\(error)" }
      return nil
    })

  /// The engine's own limit, for a log with the largest commits that there can be.
  static let batchLimit = BatchLimit(
    bytes: LogConfiguration(commitBytes: LogConfiguration.largestCommit).largestBatch,
    // Padded to the alignment; a record has two lengths of four bytes before its value, see BatchFormat.swift.
    overhead: BatchHeader.size + BatchHeader.alignment, messageOverhead: 8)

  /// Bytes of the largest commit: a batch of the workload fits, and smaller ones share a commit.
  static func commitBytes(_ spec: TrialSpec) -> Int {
    let batch = batchLimit.size(messages: spec.batch, of: spec.messageSize + spec.keys.largest)
    return min(LogConfiguration.largestCommit, max(256 << 10, batch + 8192))
  }

  /// Whether the cell is a trial on its storage: a second process needs files that it can reach, and job logs lose power in the
  /// model.
  /// - Parameter storage: for cells that leave the storage to the command line.
  public static func isPossible(_ cell: Cell, on storage: StorageChoice) -> Bool {
    let isModel = (cell.storage?.rawValue ?? storage.rawValue) == StorageChoice.memory.rawValue
    // On files a lease that is renewed in time is the machine's business, not the engine's.
    if cell.writers == .holderLives, !isModel { return false }
    if isModel { return cell.writers != .secondProcess && cell.crash != .outOfMemory && cell.secondCrash != .outOfMemory }
    return cell.client == nil && (cell.delivery == nil || cell.crash != .powerLoss)
  }

  /// - Parameters:
  ///   - storage: for cells that leave the storage to the command line.
  ///   - seed: of the command line; wins over the scenario's. Each repetition has the next one.
  ///   - phaseSeconds: of the command line; wins over the scenario's limit.
  ///   - expectsSound: a defect that the user switched on is expected to be caught by nothing: what it breaks is a
  ///     violation, and the exit code says so.
  public static func trial(
    _ cell: Cell, storage: StorageChoice, seed: UInt64?, phaseSeconds: Double?, expectsSound: Bool
  ) throws(TrialError) -> PlannedTrial {
    var expectation = Expectation.held
    if case .caught(let name) = cell.expectation, !expectsSound {
      guard let check = CheckName(rawValue: name) else { throw .unknownCheck(name) }
      expectation = .caught(by: check)
    }
    let chosen = cell.storage.flatMap { StorageChoice(rawValue: $0.rawValue) } ?? storage
    let crashAt: CrashPoint =
      switch cell.crashAt {
      case .end: .end
      case .percent(let n): .percent(n)
      case .messages(let n): .messages(n)
      }
    var spec = TrialSpec(
      scenario: cell.scenario, file: cell.file, seed: seed ?? cell.seed ?? defaultSeed, storage: chosen, topic: cell.topic,
      otherTopics: cell.otherTopics, messages: cell.messages, partitions: cell.partitions, sync: cell.sync.description, recovery: cell.recovery,
      crash: cell.crash, crashAt: crashAt, defect: cell.defect ?? "none", batch: cell.batch, producers: cell.producers,
      messageSize: cell.messageSize, appendBetween: cell.appendBetween,
      faults: cell.faults.map { fault in
        FaultSpec(kind: fault.kind, parameters: Dictionary(fault.parameters.map { ($0.name, $0.value) }) { $1 })
      }, writers: cell.writers, system: cell.system, delivery: cell.delivery, onlyIf: cell.onlyIf, phaseSeconds: phaseSeconds ?? Double(cell.limits.trialSeconds))
    (spec.checkpoint, spec.checkpointTerms) = (cell.checkpoint, cell.checkpointTerms)
    spec.client = cell.client
    (spec.secondCrash, spec.pace, spec.laterSync) = (cell.secondCrash, cell.pace, cell.laterSync?.description)
    (spec.preallocation, spec.firstOffset) = (cell.preallocation, cell.firstOffset)
    (spec.keys, spec.deletion) = (cell.keys, cell.deletion)
    spec.readers = cell.readers
    spec.committers = cell.committers
    if let problem = spec.systemProblem { throw .notOfSystem("\(cell.description): \(problem)") }
    return PlannedTrial(spec: spec, expectation: expectation, axes: axes(of: cell), claims: cell.claims)
  }

  public static let defaultSeed: UInt64 = 42

  static func axes(of cell: Cell) -> Axes {
    Axes(
      cell.axes.map { setting in
        switch setting.value {
        case .integer(let n): (setting.axis.rawValue, .integer(n))
        case .text(let text): (setting.axis.rawValue, .text(text))
        }
      })
  }
}

extension TrialSpec {
  /// What a trial on another system's log cannot be asked for: it would test nothing. Nil where there is no such thing.
  var systemProblem: String? {
    if let problem = RecoveryRunbook.problem(of: self) { return problem }
    if let problem = loadProblem { return problem }
    if crash == .outOfMemory || secondCrash == .outOfMemory, storage == .memory || delivery != nil || writers != .one {
      return "crash out-of-memory needs a process of one engine, on real files; leave out storage memory, writers and delivery"
    }
    if let client {
      if let problem = clientProblem(client) { return problem }
      guard storage == .memory, faults.isEmpty, writers == .one, system == .tornlog, checkpoint == .none, delivery == nil else {
        return "client \(client.rawValue) runs on storage memory, without faults, writers, system, checkpoint or delivery"
      }
    }
    if let problem = defectProblem { return problem }
    if let problem = messageProblem { return problem }
    guard system != .tornlog else { return nil }
    if writers != .one {
      return "writers \(writers.rawValue) take over through the engine's own log; leave out system \(system.rawValue) or the writers"
    }
    if checkpoint != .none {
      return "only the engine's own log goes to an object store; leave out system \(system.rawValue) or the checkpoint"
    }
    for fault in faults {
      guard let word = fault.parameters["target"], let part = BatchPart(rawValue: word), !FileLayout.foreignParts.contains(part) else {
        continue
      }
      let known = FileLayout.foreignParts.map(\.rawValue).sorted().joined(separator: ", ")
      return "\(fault.kind) of \(word) is a part of the engine's own batches; with system \(system.rawValue) aim at \(known)"
    }
    return nil
  }

  /// As in ScenarioParser+Messages.swift.
  private var messageProblem: String? {
    let isOfEngine = delivery == nil && client == nil && system == .tornlog
    let isShort = messageSize < MessageContent.minimumSize
    if !isOfEngine, isShort || keys != .none || deletion != .none {
      return "messages below \(MessageContent.minimumSize) bytes, keys and deletion are of an engine with its own log; leave out delivery, client and system"
    }
    if readers > 0, isShort || delivery != nil || client != nil || writers != .one {
      return "readers beside the producers know messages of \(MessageContent.minimumSize) bytes and more, and one writer; leave out readers, or delivery, client and writers"
    }
    if writers == .holderLives, storage != .memory || !faults.isEmpty {
      return "writers holder-lives need virtual time and no faults: a renewal that comes late is no fault of the engine; say storage memory"
    }
    if isShort, !faults.isEmpty || writers != .one && writers != .holderLives {
      return "messages below \(MessageContent.minimumSize) bytes do not say which they are; leave out faults and writers"
    }
    return nil
  }

  /// A word that a client pays no heed to would stand in the report as if it had.
  private func clientProblem(_ client: TrialClient) -> String? {
    let crashes = client == .transactions
    if !crashes, crash != .none || crashAt != .end { return "client \(client.rawValue) does not crash; say `crash: none`" }
    if syncPolicy != .always || recovery != .skipCorrupted {
      return "client \(client.rawValue) has the policies of its own document; leave out sync and recovery"
    }
    if client == .pendingEvents, messages <= 1000 { return "client \(client.rawValue) is about more than 1000 messages" }
    if !onlyIf.isEmpty { return "only-if is of an engine's trial; leave it out with client \(client.rawValue)" }
    return nil
  }

  /// The same for topics, for a token: a scenario has been read with the same rules.
  var topicProblem: String? {
    let rule = delivery == nil ? NameRule.topic(of: system) : .topicOfJobs
    if let problem = rule.problem(of: topic) { return "topic \(topic): \(problem)" }
    guard !otherTopics.isEmpty else { return nil }
    if partitions < topics.count { return "\(topics.count) topics need \(topics.count) partitions, and there are \(partitions)" }
    if Set(topics).count < topics.count { return "a topic is named twice" }
    if !faults.isEmpty || writers != .one || delivery != nil || system != .tornlog {
      return "with several topics there are no faults, one writer, no delivery and the engine's own log"
    }
    return nil
  }
}
