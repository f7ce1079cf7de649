import LogModel
import PartitionEngine
import RecordLogs
import Storage
import WriteAheadLog

/// Why defects cannot be switched on together.
public enum DefectClash: Error, Hashable, Sendable, CustomStringConvertible {
  case unknown(String)
  case namedTwice(String)
  /// Of two substitutes for one part there is only one in the engine.
  case samePart(String, first: String, second: String)
  /// One is of a job's log, of a replay buffer or of an engine, and the other of another of them: no trial has both.
  case differentSubjects(String, String)

  public var description: String {
    switch self {
    case .unknown(let id): "there is no defect \(id)"
    case .namedTwice(let id): "\(id) is named twice"
    case .samePart(let part, let first, let second): "\(first) and \(second) both take the place of the part `\(part)`"
    case .differentSubjects(let first, let second):
      "\(first) and \(second) are of different programs: an engine, a job's log with its sender, a replay buffer"
    }
  }
}

extension Defect {
  /// Stands between the ids of defects that are switched on together: `C4+P9`.
  public static let conjunction: Character = "+"

  /// Nil for an id that there is not, `none` among them, and for several that do not go together.
  public init?(id: String) {
    do throws(DefectClash) { self = try Self.named(id) } catch { return nil }
  }

  /// One defect, or several at once, the layer of the first nearest to the storage.
  public static func named(_ text: String) throws(DefectClash) -> Defect {
    var defects: [Defect] = []
    for id in text.split(separator: conjunction, omittingEmptySubsequences: false).map(String.init) {
      guard let defect = all.first(where: { $0.id == id }) else { throw .unknown(id) }
      if defects.contains(where: { $0.id == id }) { throw .namedTwice(id) }
      for other in defects {
        if other.subject != defect.subject { throw .differentSubjects(other.id, id) }
        if let part = other.replacedParts.intersection(defect.replacedParts).min() {
          throw .samePart(part, first: other.id, second: id)
        }
      }
      defects.append(defect)
    }
    return defects.dropFirst().reduce(defects[0]) { Defect($0, and: $1) }
  }

  /// Names of the parts that are others than in a sound engine, or a sound job's log.
  private var replacedParts: Set<String> {
    var names = Set<String>()
    func compare(_ parts: Any, _ sound: Any) {
      for (part, other) in zip(Mirror(reflecting: parts).children, Mirror(reflecting: sound).children) {
        if type(of: part.value) != type(of: other.value) {
          names.insert(part.label ?? "")
        } else if part.value is LogParts || part.value is CheckpointParts {
          compare(part.value, other.value)
        }
      }
    }
    compare(parts(), EngineParts())
    compare(deliveryParts(), DeliveryParts())
    compare(replayParts(), ReplayParts())
    return names
  }
}
