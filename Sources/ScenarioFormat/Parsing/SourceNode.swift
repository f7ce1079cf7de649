import LogModel
import Yams

// The only file that knows Yams. Three of its habits are traps for a scenario, so nothing above this file sees
// its nodes: scalars are kept as the text that was typed (Yams would read `no` as false and 22:30 as 1350), every
// key is kept with its position (its decoder drops unknown ones), and duplicate keys, at which it gives up, are
// masked one by one so that one run reports them together with everything else.

/// A YAML value with the place where it begins.
struct SourceNode: Sendable {
  struct Entry: Sendable {
    var key: String
    var keyPosition: SourcePosition
    var value: SourceNode
  }

  indirect enum Content: Sendable {
    case scalar(String)
    case list([SourceNode])
    case mapping([Entry])
  }

  var position: SourcePosition
  var content: Content

  /// For messages: what was found where something else was expected.
  var shape: String {
    switch content {
    case .scalar(""): "empty"
    case .scalar(let text): "'\(text.shortened())'"
    case .list: "a list"
    case .mapping: "a mapping"
    }
  }

  /// Aliases can make a small file stand for an exponential tree.
  static let nodeLimit = 100_000
  /// libYAML and this file recurse.
  static let depthLimit = 64

  /// Reads one document. Duplicate keys are reported in `errors` and the first of them counts.
  static func compose(_ text: String, file: String, errors: inout [ScenarioError]) -> SourceNode? {
    if let error = flowNestingError(text, file: file) {
      errors.append(error)
      return nil
    }
    var mask = DuplicateKeyMask(text: text)
    while true {
      do {
        guard let root = try Parser(yaml: mask.text).singleRoot() else {
          errors.append(ScenarioError(SourcePosition(file: file, line: 1, column: 1), .emptyDocument))
          return nil
        }
        var builder = TreeBuilder(file: file, mask: mask)
        let tree = try builder.build(root, depth: 0)
        errors += builder.errors
        return tree
      } catch YamlError.duplicatedKeysInMapping(let names, let context) {
        guard let name = names.first, mask.hide(name, at: context.mark) else {
          let place = SourcePosition(file: file, line: context.mark.line, column: context.mark.column)
          errors.append(ScenarioError(place, .duplicateKey(names.first ?? "", firstLine: context.mark.line)))
          return nil
        }
      } catch let error as ScenarioError {
        errors.append(error)
        return nil
      } catch {
        errors.append(syntaxError(error, text: text, file: file))
        return nil
      }
    }
  }

  /// Brackets are counted before libYAML sees them: it recurses once for each. Brackets in text and comments are
  /// counted too, which no real scenario will notice at this limit, since closing ones are subtracted.
  private static func flowNestingError(_ text: String, file: String) -> ScenarioError? {
    var (depth, line, column) = (0, 1, 0)
    for scalar in text.unicodeScalars {
      column += 1
      switch scalar {
      case "\n": (line, column) = (line + 1, 0)
      case "[", "{": depth += 1
      case "]", "}": depth = max(0, depth - 1)
      default: break
      }
      if depth > depthLimit {
        return ScenarioError(SourcePosition(file: file, line: line, column: column), .tooDeep(limit: depthLimit))
      }
    }
    return nil
  }

  private static func scalar(of text: String, at mark: Mark) -> Unicode.Scalar? {
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    guard mark.line >= 1, mark.line <= lines.count else { return nil }
    return lines[mark.line - 1].dropFirst(max(0, mark.column - 1)).first
  }

  private static func syntaxError(_ error: any Error, text: String, file: String) -> ScenarioError {
    func at(_ mark: Mark, _ problem: String, _ context: YamlError.Context?) -> ScenarioError {
      // libYAML names neither a tab nor any other character that it does not take.
      if let found = scalar(of: text, at: mark), problem.contains("tab") || problem.contains("cannot start any token") {
        let place = SourcePosition(file: file, line: mark.line, column: mark.column)
        if found == "\t" { return ScenarioError(place, .syntax("a tab stands here; YAML is indented with spaces")) }
        let shown = "\(found)".escapingControls()
        return ScenarioError(place, .syntax("a value cannot begin with '\(shown)'; put it in quotes"))
      }
      let place = context.map { " (\($0.text), line \($0.mark.line))" } ?? ""
      return ScenarioError(SourcePosition(file: file, line: mark.line, column: mark.column), .syntax(problem + place))
    }
    switch error {
    case YamlError.scanner(let context, let problem, let mark, _),
      YamlError.parser(let context, let problem, let mark, _),
      YamlError.composer(let context, let problem, let mark, _):
      return at(mark, problem, context)
    case YamlError.reader(let problem, let offset, _, _):
      let before = text.prefix(offset ?? 0).unicodeScalars
      let line = before.count { $0 == "\n" } + 1
      let column = before.reversed().prefix { $0 != "\n" }.count + 1
      return ScenarioError(SourcePosition(file: file, line: line, column: column), .syntax(problem))
    default:
      return ScenarioError(SourcePosition(file: file, line: 1, column: 1), .syntax(String(describing: error)))
    }
  }
}

/// Replaces the first of two equal keys by a stand-in of the same length, so that positions stay true.
private struct DuplicateKeyMask {
  private(set) var text: String
  /// The name behind a stand-in.
  private(set) var names: [String: String] = [:]
  /// A file with more duplicates than this is reported up to here.
  private let limit = 50

  init(text: String) { self.text = text }

  /// False where the key is not written as its plain text there, or there are too many.
  mutating func hide(_ name: String, at mark: Mark) -> Bool {
    let key = Array(name.unicodeScalars)
    guard names.count < limit, !key.isEmpty, let standIn = Unicode.Scalar(0xE000 + UInt32(names.count)) else {
      return false
    }
    var scalars = Array(text.unicodeScalars)
    var start = 0
    for _ in 1..<max(1, mark.line) {
      guard let end = scalars[start...].firstIndex(of: "\n") else { return false }
      start = end + 1
    }
    start += mark.column - 1
    if start < scalars.count, scalars[start] == "\"" || scalars[start] == "'" { start += 1 }
    guard start + key.count <= scalars.count, Array(scalars[start..<start + key.count]) == key else { return false }
    let hidden = String(String.UnicodeScalarView(repeatElement(standIn, count: key.count)))
    scalars.replaceSubrange(start..<start + key.count, with: hidden.unicodeScalars)
    names[hidden] = name
    text = String(String.UnicodeScalarView(scalars))
    return true
  }
}

private struct TreeBuilder {
  let file: String
  let mask: DuplicateKeyMask
  var errors: [ScenarioError] = []
  private var count = 0

  init(file: String, mask: DuplicateKeyMask) {
    self.file = file
    self.mask = mask
  }

  mutating func build(_ node: Node, depth: Int) throws(ScenarioError) -> SourceNode {
    let place = position(node)
    count += 1
    guard count <= SourceNode.nodeLimit else { throw ScenarioError(place, .tooManyNodes(limit: SourceNode.nodeLimit)) }
    guard depth <= SourceNode.depthLimit else { throw ScenarioError(place, .tooDeep(limit: SourceNode.depthLimit)) }
    switch node {
    case .scalar(let scalar): return SourceNode(position: place, content: .scalar(scalar.string))
    case .alias: throw ScenarioError(place, .syntax("unresolved alias"))
    case .sequence(let sequence):
      var items: [SourceNode] = []
      for item in sequence { items.append(try build(item, depth: depth + 1)) }
      return SourceNode(position: place, content: .list(items))
    case .mapping(let mapping):
      return SourceNode(position: place, content: .mapping(try entries(of: mapping, depth: depth)))
    }
  }

  private mutating func entries(of mapping: Node.Mapping, depth: Int) throws(ScenarioError) -> [SourceNode.Entry] {
    var entries: [SourceNode.Entry] = []
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key else {
        errors.append(ScenarioError(position(key), .keyIsNotText(in: "this mapping")))
        continue
      }
      let name = mask.names[scalar.string] ?? scalar.string
      if let first = entries.first(where: { $0.key == name }) {
        errors.append(ScenarioError(position(key), .duplicateKey(name, firstLine: first.keyPosition.line)))
        continue
      }
      let value = try build(value, depth: depth + 1)
      entries.append(SourceNode.Entry(key: name, keyPosition: position(key), value: value))
    }
    return entries
  }

  private func position(_ node: Node) -> SourcePosition {
    SourcePosition(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
  }
}
