import FoundationEssentials

/// One line of a driver: a reply, a part of one, or a word between. `docs/driver-protocol.md` says what each member
/// means.
package struct DriverReply: Sendable, Decodable {
  package var id: Int?
  package var ok: Bool?
  package var outcome: String?
  package var error: String?
  package var position: Int?
  /// Of `get` and `take`: nil where the member is not there, `.some(nil)` where it is null.
  package var value: String??
  package var items: [DriverItem]?
  package var name: String?
  package var version: String?
  package var ops: [String]?
  package var reopens: Bool?
  package var forks: Bool?
  package var progress: String?
  package var died: String?

  private enum Key: String, CodingKey {
    case id, ok, outcome, error, position, value, items, name, version, ops, reopens, forks, progress, died
  }

  package init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: Key.self)
    id = try members.decodeIfPresent(Int.self, forKey: .id)
    ok = try members.decodeIfPresent(Bool.self, forKey: .ok)
    if ok == nil || id == nil {
      progress = try members.decodeIfPresent(String.self, forKey: .progress)
      died = try members.decodeIfPresent(String.self, forKey: .died)
    }
    items = try members.decodeIfPresent([DriverItem].self, forKey: .items)
    if members.contains(.value) { value = .some(try members.decodeIfPresent(String.self, forKey: .value)) }
    position = try members.decodeIfPresent(Int.self, forKey: .position)
    if ok == false {
      outcome = try members.decodeIfPresent(String.self, forKey: .outcome)
      error = try members.decodeIfPresent(String.self, forKey: .error)
    } else if members.contains(.ops) || members.contains(.name) {
      name = try members.decodeIfPresent(String.self, forKey: .name)
      version = try members.decodeIfPresent(String.self, forKey: .version)
      ops = try members.decodeIfPresent([String].self, forKey: .ops)
      reopens = try members.decodeIfPresent(Bool.self, forKey: .reopens)
      forks = try members.decodeIfPresent(Bool.self, forKey: .forks)
    }
  }

  /// - Throws: what is wrong with the line, in words for whoever wrote the driver.
  package init(line: [UInt8]) throws(DriverLineError) {
    do {
      self = try JSONDecoder().decode(DriverReply.self, from: Data(line))
    } catch let error as DecodingError {
      throw DriverLineError(line, error)
    } catch {
      throw DriverLineError(line, "is no JSON object")
    }
  }
}

/// An item of a scan: where it is, and what.
package struct DriverItem: Sendable, Decodable, Hashable {
  package enum Place: Sendable, Hashable {
    case position(Int)
    case key(String)
  }

  package var place: Place
  package var value: String

  package init(place: Place, value: String) { (self.place, self.value) = (place, value) }

  package init(from decoder: any Decoder) throws {
    var pair = try decoder.unkeyedContainer()
    if let position = try? pair.decode(Int.self) {
      place = .position(position)
    } else {
      place = .key(try pair.decode(String.self))
    }
    value = try pair.decode(String.self)
  }
}

/// A line that is no reply.
package struct DriverLineError: Error, CustomStringConvertible {
  package var line: String
  package var complaint: String

  init(_ line: [UInt8], _ complaint: String) {
    self.line = String(decoding: line.prefix(120), as: UTF8.self) + (line.count > 120 ? "…" : "")
    self.complaint = complaint
  }

  init(_ line: [UInt8], _ error: DecodingError) {
    switch error {
    case .typeMismatch(let type, let context):
      self.init(line, "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is no \(type)")
    case .valueNotFound(_, let context):
      self.init(line, "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is null")
    default: self.init(line, "is no JSON object on one line")
    }
  }

  package var description: String { "the driver's line '\(line)' \(complaint)" }
}
