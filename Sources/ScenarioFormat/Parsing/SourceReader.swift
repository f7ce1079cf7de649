/// Walks a tree of nodes and notes every problem on the way: a nil answer means that one was noted.
struct SourceReader {
  let vocabulary: Vocabulary
  var errors: [ScenarioError] = []

  mutating func note(_ position: SourcePosition, _ problem: ScenarioProblem) {
    errors.append(ScenarioError(position, problem))
  }

  /// The entries of a mapping whose keys are all among `known`.
  /// - Parameter former: keys by their names of the version before, which are taken for one more version.
  mutating func mapping(
    _ node: SourceNode, _ noun: String, known: [String], former: [String: String] = [:]
  ) -> [String: SourceNode.Entry]? {
    guard let entries = entries(node, noun) else { return nil }
    var found: [String: SourceNode.Entry] = [:]
    for entry in entries {
      if let key = former[entry.key] {
        if found[key] != nil {
          note(entry.keyPosition, .givenTwice(key, places: "\(noun), as \(entry.key) and \(key)"))
        }
        found[key] = entry
      } else if known.contains(entry.key) {
        if former.values.contains(entry.key), found[entry.key] != nil {
          let other = found[entry.key]?.key ?? entry.key
          note(entry.keyPosition, .givenTwice(entry.key, places: "\(noun), as \(other) and \(entry.key)"))
        }
        found[entry.key] = entry
      } else {
        note(entry.keyPosition, .unknownKey(entry.key, in: noun, known: known))
      }
    }
    return found
  }

  mutating func entries(_ node: SourceNode, _ noun: String) -> [SourceNode.Entry]? {
    guard case .mapping(let entries) = node.content else {
      note(node.position, .wrongShape(of: noun, expected: "a mapping", found: node.shape))
      return nil
    }
    return entries
  }

  mutating func list(_ node: SourceNode, _ noun: String) -> [SourceNode]? {
    guard case .list(let items) = node.content else {
      note(node.position, .wrongShape(of: noun, expected: "a list", found: node.shape))
      return nil
    }
    return items
  }

  mutating func text(_ node: SourceNode, _ noun: String) -> String? {
    guard case .scalar(let text) = node.content, !text.isEmpty else {
      note(node.position, .wrongShape(of: noun, expected: "a value", found: node.shape))
      return nil
    }
    return text
  }

  mutating func number(_ node: SourceNode, _ noun: String, _ allowed: ClosedRange<Int>) -> Int? {
    guard let text = text(node, noun) else { return nil }
    return value(at: node) { () throws(ScenarioProblem) in try integer(text, of: noun, allowed: allowed) }
  }

  mutating func axisValue(_ node: SourceNode, _ axis: AxisDescriptor) -> AxisValue? {
    guard let text = text(node, axis.name) else { return nil }
    let vocabulary = vocabulary
    return value(at: node) { () throws(ScenarioProblem) in try axis.parse(text, vocabulary: vocabulary) }
  }

  mutating func value<Value>(at node: SourceNode, _ read: () throws(ScenarioProblem) -> Value) -> Value? {
    do {
      return try read()
    } catch {
      note(node.position, error)
      return nil
    }
  }

  /// A name for scenarios and suites: it goes into file names, command lines and reports.
  mutating func slug(_ node: SourceNode, _ noun: String) -> String? {
    guard let name = text(node, noun) else { return nil }
    return isSlug(name) ? name : malformedSlug(name, noun, node.position)
  }

  mutating func malformedSlug(_ name: String, _ noun: String, _ position: SourcePosition) -> String? {
    note(position, .malformed(name, of: noun, expected: "lower-case letters, digits and hyphens"))
    return nil
  }
}

/// Whether a scenario or a suite can be named so: lower-case ASCII letters, digits and hyphens, 1 to 100 of them.
public func isSlug(_ name: String) -> Bool {
  !name.isEmpty && name.count <= 100
    && name.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 }
}
