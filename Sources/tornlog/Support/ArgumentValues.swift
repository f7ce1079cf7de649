import ArgumentParser
import Benchmarks
import CrashStates
import DefectMatrix
import Defects
import Exploration
import LogModel
import LoopDisks
import Reporting
import Storage
import Trials
import Verification

// Values of options, read by one parser each.

/// A duration greater than zero, like 500ms, 30s or 10m.
extension Duration: @retroactive ExpressibleByArgument {
  public init?(argument: String) {
    guard let duration = DurationText.parse(argument), duration > .zero else { return nil }
    self = duration
  }

  public var defaultValueDescription: String { DurationText.render(self) }
}

extension SyncPolicy: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
  public static var allValueStrings: [String] { ["always", "interval(100ms)", "never"] }
}

extension LogSystem: ExpressibleByArgument {}
extension StorageChoice: ExpressibleByArgument {}
extension RunPlan.Keep: ExpressibleByArgument {}
extension Presence: ExpressibleByArgument {}
extension LogClient: ExpressibleByArgument {}

extension DetectionStrategy: ExpressibleByArgument {
  /// The word of version 0.1, the raw value, is accepted for one version more.
  public init?(argument: String) {
    guard let found = Self.allCases.first(where: { $0.name == argument }) ?? Self(rawValue: argument) else {
      return nil
    }
    self = found
  }

  public static var allValueStrings: [String] { allCases.map(\.name) }
}

extension BenchOptions.Part: ExpressibleByArgument {}
extension RecoveryKind: ExpressibleByArgument {}
extension LoopFileSystem: ExpressibleByArgument {}

/// `--defect` of a search: one defect, several at once as C4+P9, or `none`.
struct DefectChoice {
  var id: String
  /// Nil for the unmodified engine.
  var defect: Defect?

  /// - Throws: what is wrong with the id, and how to find the right one.
  init(_ id: String) throws {
    self.id = id
    if id == "none" { return }
    do throws(DefectClash) { defect = try Defect.named(id) } catch {
      throw ValidationError("\(error); `tornlog list --defects` names them")
    }
  }

  /// Where it cannot act "held" would be a pass for nothing.
  func require(_ ground: DefectGround) throws {
    if let obstacle = defect?.obstacle(on: ground) { throw ValidationError("--defect \(id): \(obstacle)") }
  }
}

extension DefectChoice? {
  /// The defect that was asked for, which can act on this ground.
  func chosen(on ground: DefectGround) throws -> Defect? {
    try self?.require(ground)
    return self?.defect
  }
}

/// `--profile`: one persistence profile, or all.
enum ProfileChoice {
  case all
  case one(CrashProfile)

  init(_ name: String) throws(ExplorationError) {
    if name == "all" {
      self = .all
    } else if let profile = CrashProfile.named(name) {
      self = .one(profile)
    } else {
      throw .unknownProfile(name)
    }
  }
}

extension [ProfileChoice] {
  /// In the order in which the profiles are known; nil where none was named.
  var profiles: [CrashProfile]? {
    if isEmpty { return nil }
    var named: [CrashProfile] = []
    for choice in self {
      guard case .one(let profile) = choice else { return CrashProfile.all }
      named.append(profile)
    }
    return CrashProfile.known.filter(named.contains)
  }
}
