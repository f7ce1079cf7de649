import LogModel
import ObjectStore

public enum ObjectOperation: String, Hashable, Sendable, Codable, CaseIterable {
  case put, get, list, delete
}

/// What goes wrong between an engine and its object store.
public enum ObjectFault: Hashable, Sendable, Codable {
  /// The store says no, and has done nothing.
  case refusal
  /// The store has done it, and the caller hears of a failure.
  case lostAnswer
  /// The store has done it, and says so this much later.
  case late(Duration)
  /// The store does it this much later.
  case slow(Duration)
  /// The store does nothing, and never answers.
  case hang
  /// The object is there under its name with the first `percent` of its bytes. Whether the caller is told.
  case partialUpload(percent: Int, isTold: Bool)
}

/// One fault, when it is to fire, and how often.
public struct PlannedObjectFault: Hashable, Sendable, Codable {
  public var fault: ObjectFault
  /// Nil for every operation; a partial upload hits puts only.
  public var operation: ObjectOperation?
  /// A part of the object's path, or of the partition's; empty for every path.
  public var pathContains: String
  /// The nth matching call, from 1, and those that follow it.
  public var occurrence: Int
  /// How often it fires.
  public var times: Int

  public init(
    _ fault: ObjectFault, on operation: ObjectOperation? = nil, pathContains: String = "", occurrence: Int = 1,
    times: Int = 1
  ) {
    self.fault = fault
    if case .partialUpload = fault { self.operation = .put } else { self.operation = operation }
    self.pathContains = pathContains
    self.occurrence = occurrence
    self.times = times
  }

  func matches(_ operation: ObjectOperation, _ path: String) -> Bool {
    (self.operation.map { $0 == operation } ?? true) && (pathContains.isEmpty || Self.contains(path, pathContains))
  }

  private static func contains(_ text: String, _ part: String) -> Bool {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    guard part.count <= text.count else { return false }
    return (0...text.count - part.count).contains { text[$0..<$0 + part.count].elementsEqual(part) }
  }
}

/// The evidence that a fault of the object store has fired.
public struct ObjectFaultReceipt: Hashable, Sendable, Codable {
  /// Place among the store's receipts, from 0.
  public var number: Int
  /// Index of the fault in its plan.
  public var planned: Int
  public var fault: ObjectFault
  public var operation: ObjectOperation
  public var path: String
  /// The call's number among those that matched, from 1.
  public var occurrence: Int
  public var instant: Instant
  /// Of this fault.
  public var isFirst: Bool
}

extension ObjectFaultReceipt: CustomStringConvertible {
  public var description: String {
    let what =
      switch fault {
      case .refusal: "refused"
      case .lostAnswer: "done, told that it failed"
      case .late(let delay): "done, told \(DurationText.render(delay)) later"
      case .slow(let delay): "done \(DurationText.render(delay)) later"
      case .hang: "not done, told nothing"
      case .partialUpload(let percent, let isTold):
        "\(percent) % of it stored, told \(isTold ? "that it failed" : "success")"
      }
    return "\(operation.rawValue) #\(occurrence) of \(path.isEmpty ? "all objects" : path): \(what)"
  }
}
