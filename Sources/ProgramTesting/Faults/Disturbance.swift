import Volume

/// One thing that goes wrong while a program works.
package enum Disturbance: Sendable, Hashable, CustomStringConvertible {
  /// SIGKILL for the program and all that it has started.
  case kill(OperationPlace)
  /// SIGTERM for all of it, and SIGKILL so many operations later: an orderly stop that took too long.
  case terminate(OperationPlace, grace: Int)
  /// SIGKILL at this operation of its `close`, from 1.
  case killInClose(occurrence: Int)
  case fault(FaultCell)

  package var description: String {
    switch self {
    case .kill(let place): "kill -9 at \(place)"
    case .terminate(let place, let grace): "SIGTERM at \(place), kill -9 \(grace) operations later"
    case .killInClose(let occurrence): "kill -9 at operation \(occurrence) of close"
    case .fault(let cell): "\(cell)"
    }
  }

  /// In a word or two, as findings name their cause.
  package var cause: String {
    switch self {
    case .kill: "killed"
    case .terminate: "SIGTERM, then killed"
    case .killInClose: "killed in close"
    case .fault(let cell): cell.fault.rawValue
    }
  }

  /// The same at another occurrence, from 1.
  func moved(to occurrence: Int) -> Disturbance {
    func moved(_ place: OperationPlace) -> OperationPlace {
      OperationPlace(kind: place.kind, file: place.file, occurrence: occurrence)
    }
    switch self {
    case .kill(let place): return .kill(moved(place))
    case .terminate(let place, let grace): return .terminate(moved(place), grace: grace)
    case .killInClose: return .killInClose(occurrence: occurrence)
    case .fault(let cell): return .fault(FaultCell(place: moved(cell.place), fault: cell.fault))
    }
  }

  /// Of a fault on a kind of file: at the operation that it was among all of its kind. Nil for others.
  var withoutFile: Disturbance? {
    guard case .fault(let cell) = self, cell.place.file != nil, let instead = cell.instead else { return nil }
    return .fault(FaultCell(place: OperationPlace(kind: cell.place.kind, occurrence: instead), fault: cell.fault))
  }

  package var fault: OperationFault? { if case .fault(let cell) = self { cell.fault } else { nil } }

  /// Whether the disk forgets, mixes up or damages what it had been given: no program has to survive that.
  package var isDamage: Bool { fault?.isDamage ?? false }

  /// Whether states of a power cut after it say more than the files do: something is not durable that the program may
  /// take for it.
  var leavesUnsynced: Bool {
    switch self {
    case .kill, .terminate, .killInClose: true
    case .fault(let cell): cell.fault == .pagesKept || cell.fault == .pagesDropped
    }
  }
}

extension Disturbance: Codable {
  private struct Form: Codable {
    var what: String
    var kind: UInt8?
    var file: String?
    var occurrence: Int
    var grace: Int?
    var fault: String?
  }

  package func encode(to encoder: any Encoder) throws {
    let form =
      switch self {
      case .kill(let place): Form(what: "kill", kind: place.kind?.rawValue, occurrence: place.occurrence)
      case .terminate(let place, let grace):
        Form(what: "terminate", kind: place.kind?.rawValue, occurrence: place.occurrence, grace: grace)
      case .killInClose(let occurrence): Form(what: "close", occurrence: occurrence)
      case .fault(let cell):
        Form(
          what: "fault", kind: cell.place.kind?.rawValue, file: cell.place.file, occurrence: cell.place.occurrence,
          fault: cell.fault.rawValue)
      }
    try form.encode(to: encoder)
  }

  package init(from decoder: any Decoder) throws {
    let form = try Form(from: decoder)
    let place = OperationPlace(
      kind: form.kind.flatMap { VolumeOperationKind(rawValue: $0) }, file: form.file, occurrence: form.occurrence)
    switch form.what {
    case "kill": self = .kill(place)
    case "terminate": self = .terminate(place, grace: form.grace ?? 1)
    case "close": self = .killInClose(occurrence: form.occurrence)
    default:
      guard form.what == "fault", let fault = form.fault.flatMap({ OperationFault(rawValue: $0) }) else {
        throw DecodingError.dataCorrupted(
          DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "no disturbance of this version"))
      }
      self = .fault(FaultCell(place: place, fault: fault))
    }
  }
}
