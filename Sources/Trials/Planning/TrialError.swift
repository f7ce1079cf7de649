import Foundation
import Glibc
import LogModel
import Storage

/// What keeps a trial from being run or judged: never the engine's failure, which is a finding.
public enum TrialError: Error, Hashable, Sendable {
  /// A system call of the harness itself failed.
  case system(String, String, Int32)
  /// The worker process reads no more requests.
  case workerIsDeaf
  /// A file of the harness, or the answer of a worker, is damaged.
  case damagedFile(String, FileDamage)
  /// Something of the harness has no JSON.
  case notEncodable(String, reason: String)
  /// What one life was to leave behind for the next is not there.
  case evidenceMissing(Evidence)
  /// The trial asks for what it cannot have: its token was edited by hand.
  case contradiction(SpecContradiction)
  /// The second writer did not do its part.
  case secondWriter(SecondWriterFailure)
  /// An operator's step, which the harness does itself, did not get to its end.
  case operatorStep(OperatorStep, reason: String)
  /// A client's life in virtual time never ended, or threw an error.
  case clientFailed(reason: String)
  /// `promtool test rules` passes for no answer.
  case alertUnanswered(String, output: String)
  /// A scenario expects a check by a name that there is not.
  case unknownCheck(String)
  /// The state that a scenario keeps cannot be read.
  case unreadableState(at: String)
  /// A fault that the scenario asks for does not exist.
  case unknownFault(String)
  /// A fault could not be placed: there was nothing to hit.
  case faultMissed(String)
  /// The directory for the trials' files cannot be used.
  case directory(StorageError)
  case unknownDefect(String)
  /// What the trial's system cannot be asked for; the text says why.
  case notOfSystem(String)
  /// `--storage ring`, and the kernel says no.
  case ringRefused(StorageError)
  /// The trials that run at the same time do not fit; bytes.
  case noRoom(String, needed: Int64, free: Int64)
  /// The machine failed under a trial, and no fault of the trial's had asked for it.
  case machine(String)
  /// A limit of the machine, of the process or of its user has been reached: what, and what to do.
  case shortage(String)
  /// A limit is lower than what the trials need for certain.
  case limitTooLow(ProcessLimit, value: Int64, needed: Int64, by: String)
  /// Trials in memory need more than there is; bytes.
  case noMemory(needed: Int64, available: Int64, limit: ProcessLimit?)

  /// Whether the environment is to blame and not the harness.
  public var isEnvironment: Bool {
    switch self {
    case .system, .directory, .ringRefused, .noRoom, .machine, .shortage, .limitTooLow, .noMemory: true
    case .workerIsDeaf, .damagedFile, .notEncodable, .evidenceMissing, .contradiction, .secondWriter, .operatorStep,
      .clientFailed, .alertUnanswered, .unknownCheck, .unreadableState, .unknownFault, .faultMissed, .unknownDefect,
      .notOfSystem:
      false
    }
  }

  /// Whether a limit of the machine decided: there is no verdict on the trial, and the next one may well have one.
  public var isShortage: Bool {
    switch self {
    case .shortage: true
    case .system(_, _, let code): Shortage.isOne(code)
    case .directory(let error), .ringRefused(let error):
      if case .errno(let code) = error.code { Shortage.isOne(code) } else { false }
    default: false
    }
  }
}

extension TrialError: CustomStringConvertible {
  private static var fullDisk: String {
    "\(String(cString: strerror(ENOSPC))) (free space there, or choose another place with --dir)"
  }

  public var description: String {
    switch self {
    case .system(let what, let path, let code):
      "cannot \(what) \(path): " + (code == ENOSPC ? Self.fullDisk : Shortage.text(code))
    case .ringRefused(let error):
      "io_uring is refused here: \(error). `tornlog doctor` says why; --storage posix does without it"
    case .noRoom(let path, let needed, let free):
      "\(path) has \(free >> 20) MiB free and the trials need up to \(needed >> 20) MiB at a time; free space, choose "
        + "another place with --dir, or lower --jobs"
    case .machine(let text), .shortage(let text): text
    case .limitTooLow(let limit, let value, let needed, let what):
      "\(limit.name) is \(value) and \(what) needs \(needed): raise the limit with \(limit.command), or leave the "
        + "trial out"
    case .noMemory(let needed, let available, let limit):
      "the trials in memory need at least \(needed >> 20) MiB at a time, and "
        + (limit.map { "\($0.name) allows \(available >> 20) MiB: raise the limit with \($0.command)" }
          ?? "the machine has \(available >> 20) MiB: lower --jobs")
        + ", use --storage auto, or ask for fewer messages"
    case .workerIsDeaf: "the worker process reads no more requests; \(Self.ownMistake)"
    case .damagedFile(let path, let damage): "\(path) \(damage)"
    case .notEncodable(let path, let reason): "\(path) cannot be written as JSON: \(reason); \(Self.ownMistake)"
    case .evidenceMissing(let evidence): "\(evidence.rawValue); \(Self.ownMistake)"
    case .contradiction(let contradiction): contradiction.rawValue
    case .secondWriter(let failure): "\(failure)"
    case .operatorStep(let step, let reason): "\(step) failed: \(reason); \(Self.ownMistake)"
    case .clientFailed(let reason): "the client's life failed: \(reason); \(Self.ownMistake)"
    case .alertUnanswered(let alert, let output):
      "promtool gives no answer on \(alert): \(output); check the rules with `promtool check rules`, or name others"
    case .unknownCheck(let name): "there is no check `\(name)`; `tornlog list --checks` names them"
    case .unreadableState(let place):
      "\(place): the state cannot be read; explore again and copy what the report prints"
    case .unknownFault(let kind): "there is no fault `\(kind)`; docs/scenarios.md lists them"
    case .faultMissed(let text): "the fault did not fire: \(text)"
    case .directory(let error) where error.isNotFound: "\(error) (create it, or choose another place with --dir)"
    case .directory(let error): Shortage.text(error)
    case .notOfSystem(let text): text
    case .unknownDefect(let id): "there is no defect `\(id)`; `tornlog list --defects` names them"
    }
  }
}

extension TrialError {
  /// What to do where the harness itself is wrong.
  private static let ownMistake =
    "this is a mistake of Tornlog and not of the log: run the trial again with --keep always, and report its token"
}

/// What is wrong with a file that tornlog has written.
public enum FileDamage: Hashable, Sendable, CustomStringConvertible {
  case notJSON
  case missingKey(String)
  case otherType(key: String)
  case unreadable(reason: String)

  /// `DecodingError` describes the decoder's own types.
  init(_ error: any Error) {
    self =
      switch error {
      case DecodingError.dataCorrupted: .notJSON
      case DecodingError.keyNotFound(let key, _): .missingKey(key.stringValue)
      case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
        .otherType(key: context.codingPath.map(\.stringValue).joined(separator: "."))
      default: .unreadable(reason: (error as NSError).localizedDescription)
      }
  }

  public var description: String {
    switch self {
    case .notJSON: "is no JSON, or only a part of it: whatever wrote it was stopped in the middle; run the trial again"
    case .missingKey(let key): "lacks `\(key)`: it is of another version of tornlog, or damaged; run the trial again"
    case .otherType(let key):
      "has another value at `\(key)` than tornlog writes: it is of another version, or damaged; run the trial again"
    case .unreadable(let reason): "cannot be read: \(reason)"
    }
  }
}

/// What one life leaves behind for the next.
public enum Evidence: String, Hashable, Sendable {
  case receivedEvents = "the receiver has left no account of what it got"
  case receiverAddress = "the receiver has left no address"
}

/// What cannot stand together in one trial.
public enum SpecContradiction: String, Hashable, Sendable {
  case writersNeedEnd = "two writers need a crash at the end of the workload: use crash-at=end, or writers=one"
  case deliveryHasOneWriter = "a trial of delivery has one writer: use writers=one"
  case processNeedsFiles = "a second process needs real files: use --storage ring or posix"
  case noDelivery = "this trial has no `delivery`: copy the token again, as the report prints it"
  case noSecondWriter = "this life has no second writer: use writers=two or writers=second-process"
}

/// Why a second writer gave no result.
public enum SecondWriterFailure: Hashable, Sendable, CustomStringConvertible {
  case noReceipt
  /// No engine opens once both writers have closed.
  case noneOpens(reason: String)
  case failed(reason: String)
  case died(how: String, errorOutput: String)
  case timedOut(seconds: Double)
  case interrupted

  public var description: String {
    switch self {
    case .noReceipt: "the second writer says nothing of its engine; run the trial again"
    case .noneOpens(let reason): "no engine opens once both writers have closed: \(reason)"
    case .failed(let reason): "the second process failed: \(reason); run the trial again"
    case .died(let how, let output): "the second process died (\(how)); run the trial again. It wrote: \(output)"
    case .timedOut(let seconds): "the second process took more than \(seconds) s; give it more with --timeout"
    case .interrupted: "the second process was interrupted; run the trial again"
    }
  }
}

/// A step of an operator that the harness does itself.
public enum OperatorStep: Hashable, Sendable, CustomStringConvertible {
  case freeDiskSpace, openArchive, readArchives, listJobs
  /// Of a recovery runbook, by its number.
  case runbookOption(Int)
  case prepareLogs(firstOffset: Int)
  case writeAlertSeries

  public var description: String {
    switch self {
    case .freeDiskSpace: "freeing disk space"
    case .openArchive: "opening the archive"
    case .readArchives: "reading the archives"
    case .listJobs: "naming the jobs"
    case .runbookOption(let option): "option \(option) of the runbook"
    case .prepareLogs(let offset): "making logs that begin at offset \(offset)"
    case .writeAlertSeries: "writing the series of the alerts"
    }
  }
}
