/// What a driver is asked. `docs/driver-protocol.md` has what each means.
package enum DriverRequest: Sendable, Hashable {
  case hello
  /// `config` is the text of a JSON object.
  case open(folder: String, create: Bool, config: String)
  case append(log: String, value: String)
  case take(log: String)
  case put(key: String, value: String)
  case delete(key: String)
  case get(key: String)
  case transaction([Change])
  /// Of a log or queue; nil is the map.
  case scan(log: String?)
  case flush
  case check
  case close

  /// A part of a transaction.
  package enum Change: Sendable, Hashable {
    case put(key: String, value: String)
    case delete(key: String)
  }

  /// As the protocol calls it.
  package var name: String {
    switch self {
    case .hello: "hello"
    case .open: "open"
    case .append: "append"
    case .take: "take"
    case .put: "put"
    case .delete: "delete"
    case .get: "get"
    case .transaction: "txn"
    case .scan: "scan"
    case .flush: "flush"
    case .check: "check"
    case .close: "close"
    }
  }

  /// The request as a line, with its end.
  package func line(id: Int) -> String {
    var text = "{\"id\":\(id),\"op\":\"\(name)\""
    switch self {
    case .hello: text += ",\"version\":1"
    case .open(let folder, let create, let config):
      text += ",\"dir\":\(folder.jsonText),\"create\":\(create),\"config\":\(config)"
    case .append(let log, let value): text += ",\"log\":\(log.jsonText),\"value\":\(value.jsonText)"
    case .take(let log): text += ",\"log\":\(log.jsonText)"
    case .put, .delete: text += Self.members(of: self)
    case .get(let key): text += ",\"key\":\(key.jsonText)"
    case .transaction(let changes):
      let parts = changes.map { change in
        switch change {
        case .put(let key, let value): "{\"op\":\"put\"" + Self.members(of: .put(key: key, value: value)) + "}"
        case .delete(let key): "{\"op\":\"delete\"" + Self.members(of: .delete(key: key)) + "}"
        }
      }
      text += ",\"do\":[\(parts.joined(separator: ","))]"
    case .scan(let log): if let log { text += ",\"log\":\(log.jsonText)" }
    case .flush, .check, .close: break
    }
    return text + "}\n"
  }

  private static func members(of change: DriverRequest) -> String {
    switch change {
    case .put(let key, let value): ",\"key\":\(key.jsonText),\"value\":\(value.jsonText)"
    case .delete(let key): ",\"key\":\(key.jsonText)"
    default: ""
    }
  }
}

extension String {
  /// As a JSON string (RFC 8259, 7).
  package var jsonText: String {
    var text = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
