/// What a directory entry names: an index into the disk's files or directories.
enum MemoryNode: Hashable {
  case file(Int)
  case directory(Int)

  var isDirectory: Bool { if case .directory = self { true } else { false } }
}

/// The entries of one directory, as they are seen and as they survive a power cut.
final class MemoryDirectory {
  private(set) var visible: [String: MemoryNode] = [:]
  var durable: [String: MemoryNode] = [:]
  /// Changes that no sync covers any more: what the name stands for. A name that changes again is covered again.
  private var abandoned: [String: MemoryNode?] = [:]

  func clone() -> MemoryDirectory {
    let directory = MemoryDirectory()
    directory.visible = visible
    directory.durable = durable
    directory.abandoned = abandoned
    return directory
  }

  /// The name stands for `node` from now on; nil: for nothing. What any sync before this one has failed to write, the
  /// next one writes: the name has changed since, be it there and back.
  func set(_ name: String, to node: MemoryNode?) {
    visible[name] = node
    abandoned[name] = nil
  }

  /// Nothing but what is durable is left.
  func revert() {
    visible = durable
    abandoned = [:]
  }

  /// One name whose two images differ.
  struct Change {
    var name: String
    var old: MemoryNode?
    var new: MemoryNode?

    var kind: CrashReceipt.EntryChange { old == nil ? .created : new == nil ? .removed : .replaced }
  }

  /// The entries that are not durable, sorted by name.
  var changes: [Change] {
    var found: [Change] = []
    for (name, node) in visible where durable[name] != node {
      found.append(Change(name: name, old: durable[name], new: node))
    }
    for (name, node) in durable where visible[name] == nil {
      found.append(Change(name: name, old: node, new: nil))
    }
    return found.sorted { precedes($0.name, $1.name) }
  }

  func isAbandoned(_ change: Change) -> Bool { abandoned[change.name] == .some(change.new) }

  func capture() -> Capture { Capture(changes.filter { !isAbandoned($0) }) }

  /// - Returns: the names whose changes are lost to every sync from now on.
  func abandonChanges() -> [String] {
    let lost = changes.filter { !isAbandoned($0) }
    abandoned = [:]
    for change in changes { abandoned.updateValue(change.new, forKey: change.name) }
    return lost.map(\.name)
  }

  /// A sync of the directory: the changes as they were when it was submitted.
  final class Capture {
    var changes: [Change]
    init(_ changes: [Change]) { self.changes = changes }
    func clone() -> Capture { Capture(changes) }
  }

  func apply(_ change: Change) { durable[change.name] = change.new }
}

/// Order by UTF-8 bytes: the same everywhere, unlike an order by grapheme.
func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

extension Dictionary where Key == String {
  /// The only way the model goes through names.
  var sortedByName: [(key: String, value: Value)] { self.sorted { precedes($0.key, $1.key) } }
}

func joined(_ directory: String, _ name: String) -> String { directory.isEmpty ? name : directory + "/" + name }
