import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Verification

@testable import Trials

/// A trial's folder, which goes with its owner.
final class TrialScratch: Sendable {
  let folder: TrialFolder

  init() throws {
    var template = Array("/tmp/tornlog-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
    folder = TrialFolder(path: String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
    mkdir(folder.data, 0o755)
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: folder.path) } catch { print("left behind: \(error)") }
  }
}

func spec(
  messages: Int = 20, partitions: Int = 1, sync: String = "always", crash: CrashKind = .none,
  crashAt: CrashMoment = .end, storage: StorageChoice = .posix, seed: UInt64 = 42, seconds: Double = 30,
  faults: [FaultSpec] = []
) -> TrialSpec {
  var spec = TrialSpec(scenario: "test", file: "", seed: seed, storage: storage, phaseSeconds: seconds)
  (spec.messages, spec.partitions, spec.producers, spec.batch, spec.messageSize) = (messages, partitions, 2, 5, 100)
  (spec.sync, spec.crash, spec.crashAt) = (policy(sync), crash, crashAt)
  (spec.appendBetween, spec.faults) = (5, faults)
  return spec
}

/// A sync policy in its notation.
func policy(_ text: String) -> SyncPolicy {
  guard let policy = SyncPolicy(text) else { preconditionFailure("`\(text)` is no sync policy") }
  return policy
}

let bitFlip = FaultSpec(kind: "bit-flip", parameters: ["target": "batch-payload"])

/// A layer that a test tells what to do at each pass and each note.
final class Meddling: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  var onPass: (StorageCall, any Storage) async throws(StorageError) -> Void = { (_, _) async throws(StorageError) in }
  var onNote: (TraceNote) -> Void = { _ in }
  private(set) var phase = ""

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await onPass(call, base)
    return try await operation()
  }

  override func note(_ note: TraceNote) {
    if case .phase(let name) = note { phase = name }
    onNote(note)
    super.note(note)
  }
}

/// A token that somebody edited who knows how its check sum is made: what is refused is refused for what it says.
func edited(_ token: String, _ part: String = "", _ other: String = "", adding field: String? = nil) -> String {
  let body = token[..<(token.range(of: ".h=", options: .backwards)?.lowerBound ?? token.endIndex)]
  let changed = part.isEmpty ? String(body) : String(body).replacing(part, with: other)
  return Token.seal.sealed(changed + (field.map { ".\($0)" } ?? ""))
}
