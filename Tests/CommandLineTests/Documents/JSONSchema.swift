import Foundation

/// A value of JSON.
enum JSONValue: Decodable, Hashable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  init(text: String) throws { self = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) }

  subscript(key: String) -> JSONValue? {
    guard case .object(let entries) = self else { return nil }
    return entries[key]
  }

  var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  var items: [JSONValue] {
    guard case .array(let items) = self else { return [] }
    return items
  }
}

/// The part of JSON Schema (draft 2020-12) that the schemas in `docs` use. A keyword that it does not know is a
/// mistake, so that nothing is passed over. Stricter than the standard in one place: a key that a schema with
/// `properties` does not name is a mistake, for it stands in no document.
struct JSONSchema {
  let root: JSONValue

  private static let remarks: Set<String> = ["$schema", "$id", "$defs", "title", "description"]

  init(text: String) throws { root = try JSONValue(text: text) }

  /// What is wrong with `value`, each with its place.
  func mistakes(in value: JSONValue) -> [String] { mistakes(value, root, "$") }

  private func mistakes(_ value: JSONValue, _ schema: JSONValue, _ place: String) -> [String] {
    guard case .object(let rules) = schema else { return ["\(place): the schema is no object"] }
    return rules.keys.sorted().filter { !Self.remarks.contains($0) }.flatMap { keyword in
      mistakes(value, keyword, rules[keyword] ?? .null, rules, place)
    }
  }

  private func mistakes(
    _ value: JSONValue, _ keyword: String, _ rule: JSONValue, _ rules: [String: JSONValue], _ place: String
  ) -> [String] {
    switch keyword {
    case "$ref":
      let name = rule.text.map { String($0.dropFirst("#/$defs/".count)) } ?? ""
      guard let target = root["$defs"]?[name] else { return ["\(place): there is no definition \(name)"] }
      return mistakes(value, target, place)
    case "type":
      let names = rule.text.map { [$0] } ?? rule.items.compactMap(\.text)
      return names.contains { Self.isType(value, $0) } ? [] : ["\(place): no \(names.joined(separator: " or "))"]
    case "const": return value == rule ? [] : ["\(place): not \(rule)"]
    case "enum": return rule.items.contains(value) ? [] : ["\(place): \(value) is none of those allowed"]
    case "minimum":
      guard let least = Self.number(rule), let own = Self.number(value) else { return [] }
      return own >= least ? [] : ["\(place): below \(least)"]
    case "maximum":
      guard let most = Self.number(rule), let own = Self.number(value) else { return [] }
      return own <= most ? [] : ["\(place): above \(most)"]
    case "pattern":
      guard let pattern = rule.text, let text = value.text else { return [] }
      let isThere = (try? Regex(pattern)).map { text.contains($0) } ?? false
      return isThere ? [] : ["\(place): '\(text)' does not match \(pattern)"]
    case "minItems":
      guard case .array(let items) = value, let least = Self.number(rule) else { return [] }
      return Double(items.count) >= least ? [] : ["\(place): too few"]
    case "anyOf":
      let all = rule.items.map { mistakes(value, $0, place) }
      return all.contains([]) ? [] : ["\(place): none of the alternatives"] + (all.min { $0.count < $1.count } ?? [])
    case "items": return value.items.enumerated().flatMap { mistakes($1, rule, "\(place)[\($0)]") }
    case "required":
      guard case .object(let entries) = value else { return [] }
      return rule.items.compactMap(\.text).filter { entries[$0] == nil }.map { "\(place): no key \($0)" }
    case "properties":
      guard case .object(let entries) = value else { return [] }
      return entries.keys.sorted().flatMap { key -> [String] in
        if let own = rule[key] { return mistakes(entries[key] ?? .null, own, "\(place).\(key)") }
        return rules["additionalProperties"] == nil ? ["\(place): the schema has no key \(key)"] : []
      }
    case "additionalProperties":
      guard case .object(let entries) = value else { return [] }
      let others = entries.keys.sorted().filter { rules["properties"]?[$0] == nil }
      if rule == .bool(false) { return others.map { "\(place): the schema has no key \($0)" } }
      return others.flatMap { key in
        mistakes(entries[key] ?? .null, rule, "\(place).\(key)")
      }
    default: return ["\(place): the schema says \(keyword), which this check does not know"]
    }
  }

  private static func isType(_ value: JSONValue, _ name: String) -> Bool {
    switch (value, name) {
    case (.null, "null"), (.bool, "boolean"), (.integer, "integer"), (.integer, "number"), (.number, "number"),
      (.string, "string"), (.array, "array"), (.object, "object"):
      true
    default: false
    }
  }

  private static func number(_ value: JSONValue) -> Double? {
    switch value {
    case .integer(let n): Double(n)
    case .number(let n): n
    default: nil
    }
  }
}
