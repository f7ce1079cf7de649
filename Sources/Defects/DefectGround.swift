import LogModel

/// What a trial, an exploration or a search puts to the test, as far as it decides whether a defect's code can run
/// there.
public struct DefectGround: Hashable, Sendable {
  /// The program that runs.
  public var program: Defect.Subject
  /// In whose format the partition engine keeps its logs; of no account for other programs.
  public var system: LogSystem
  /// What there is beside a plain run of the program.
  public var has: Set<Defect.Need>
  /// Whether the layer that some defects put between a program and its storage is there.
  public var hasLayer: Bool

  public init(
    _ program: Defect.Subject, system: LogSystem = .tornlog, has: Set<Defect.Need> = [], hasLayer: Bool = true
  ) {
    (self.program, self.system, self.has, self.hasLayer) = (program, system, has, hasLayer)
  }
}

extension Defect {
  /// What a defect's code needs in order to differ from the sound code. Whether a fault or a crash then makes it show
  /// is
  /// another question, which `showsWhen` answers.
  public enum Need: String, Hashable, Sendable, CaseIterable {
    case objectStore, otherWriter, severalTopics, archive, severalExecutions
  }

  /// The same defect, with what its code needs.
  func needing(_ need: Need) -> Defect {
    var defect = self
    defect.needs.insert(need)
    return defect
  }

  /// The same defect, whose layer also acts between other programs and their storage: it asks for no name of a file.
  func ofEveryProgram() -> Defect {
    var defect = self
    defect.actsOnEveryProgram = true
    return defect
  }

  /// Why its code cannot act there; nil where it can. Of several defects at once each must be able to.
  /// - Parameter ignoringNeeds: for scenarios that say themselves what they expect of each of their cells.
  public func obstacle(on ground: DefectGround, ignoringNeeds: Bool = false) -> DefectObstacle? {
    for id in members {
      guard let one = Self.all.first(where: { $0.id == id }) else { continue }
      if one.subject != ground.program, !(one.actsOnEveryProgram && ground.hasLayer) {
        return .otherProgram(id, of: one.subject, here: ground.program)
      }
      if ground.program == .engine, ground.system != .tornlog { return .otherFormat(id, ground.system) }
      if !ignoringNeeds, let need = Need.allCases.first(where: { one.needs.contains($0) && !ground.has.contains($0) }) {
        return .missing(id, need)
      }
    }
    return nil
  }
}

/// Why a defect cannot act.
public enum DefectObstacle: Error, Hashable, Sendable, CustomStringConvertible {
  case otherProgram(String, of: Defect.Subject, here: Defect.Subject)
  case otherFormat(String, LogSystem)
  case missing(String, Defect.Need)

  public var description: String {
    switch self {
    case .otherProgram(let id, let own, let here):
      "defect \(id) is a part of \(own.name) and cannot act in \(here.name); it acts in \(own.places(id))"
    case .otherFormat(let id, let system):
      "defect \(id) is one of Tornlog's own format; the log here has the format of \(system.rawValue)"
    case .missing(let id, let need): "defect \(id) cannot act without \(need.name); \(need.remedy)"
    }
  }
}

extension Defect.Subject {
  /// As a message names it.
  public var name: String {
    switch self {
    case .engine: "the partition engine"
    case .delivery: "the job log and its sender"
    case .transactions: "the transactions of a replay buffer"
    }
  }

  /// Commands in which a defect of this program acts.
  func places(_ id: String) -> String {
    switch self {
    case .engine:
      "`tornlog run --defect \(id)`, and in `tornlog explore` with crashes --reference, errors, schedules or disks"
    case .delivery:
      "scenarios with the key `delivery` (`tornlog run Scenarios/airunner --defect \(id)`), in `tornlog explore "
        + "clients delivery`, "
        + "and in `tornlog explore errors`"
    case .transactions:
      "scenarios with `client: transactions`, in `tornlog explore clients transactions`, and in `tornlog explore "
        + "errors`"
    }
  }
}

extension Defect.Need {
  var name: String {
    switch self {
    case .objectStore: "an object store"
    case .otherWriter: "a second writer that gets past the lock or the lease"
    case .severalTopics: "several topics"
    case .archive: "an archive"
    case .severalExecutions: "several executions of a job"
    }
  }

  /// How to get it.
  var remedy: String {
    switch self {
    case .objectStore:
      "give the scenario `checkpoint: background` or `flushed`; or use `tornlog explore crashes --reference "
        + "--checkpoint`, "
        + "or `tornlog explore schedules --scenario checkpoint`, or `tornlog explore errors --scenario checkpoint`"
    case .otherWriter:
      "give the scenario `writers: clock-skew` or another that gets past them; or use `tornlog explore crashes "
        + "--reference --takeover`, "
        + "or `tornlog explore schedules --scenario takeover`"
    case .severalTopics: "give the scenario's workload `other-topics`"
    case .archive: "give the scenario's `delivery` `archive: true`"
    case .severalExecutions: "give the scenario's `delivery` `executions: each-life`"
    }
  }
}
