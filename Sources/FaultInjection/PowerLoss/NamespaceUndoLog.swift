import Storage

/// Changes of the name space that no sync of a directory has made durable yet, in the order of their completion.
struct NamespaceUndoLog {
  enum Change: Hashable {
    case created(String)
    case madeDirectory(String)
    /// `replaced`: where the file that stood at `to` is kept.
    case renamed(String, to: String, replaced: String?)
    /// `kept`: where the file is.
    case removed(String, kept: String)

    /// Paths whose entries change.
    var paths: [String] {
      switch self {
      case .created(let path), .madeDirectory(let path), .removed(let path, kept: _): [path]
      case .renamed(let from, let to, replaced: _): [from, to]
      }
    }

    var kept: String? {
      switch self {
      case .created, .madeDirectory: nil
      case .renamed(_, to: _, let replaced): replaced
      case .removed(_, let kept): kept
      }
    }

    /// What the receipt says when it is undone.
    var losses: [CrashReceipt.Loss] {
      switch self {
      case .created(let path), .madeDirectory(let path): [.entry(path: path, .created)]
      case .removed(let path, kept: _): [.entry(path: path, .removed)]
      case .renamed(let from, let to, let replaced):
        [.entry(path: from, .removed), .entry(path: to, replaced == nil ? .created : .replaced)]
      }
    }
  }

  struct Line {
    var number: Int
    var change: Change
  }

  private(set) var lines: [Line] = []
  /// Numbers of lines that no sync of a directory covers any more, unless a later line stands on them.
  private(set) var abandoned: Set<Int> = []
  private var nextNumber = 0

  mutating func append(_ change: Change) {
    lines.append(Line(number: nextNumber, change: change))
    nextNumber += 1
  }

  /// What a sync of `directory` that is submitted now will make durable, by number: the changes of its entries, and
  /// earlier ones that these stand on.
  func covered(by directory: String) -> Set<Int> {
    var numbers: Set<Int> = []
    var paths: Set<String> = []
    for line in lines.reversed() {
      let touched = line.change.paths
      guard
        touched.contains(where: {
          parent(of: $0) == directory && !abandoned.contains(line.number) || paths.contains($0)
        })
      else { continue }
      numbers.insert(line.number)
      paths.formUnion(touched)
    }
    return numbers
  }

  /// The changes that a sync of `directory` would cover are not covered by any from now on.
  /// - Returns: the entries.
  mutating func abandon(in directory: String) -> [String] {
    let numbers = covered(by: directory)
    abandoned.formUnion(numbers)
    var found: Set<String> = []
    for line in lines where numbers.contains(line.number) {
      found.formUnion(line.change.paths.filter { parent(of: $0) == directory })
    }
    return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// - Returns: where files are kept that need not be any longer.
  mutating func makeDurable(_ numbers: Set<Int>) -> [String] {
    let kept = lines.filter { numbers.contains($0.number) }.compactMap(\.change.kept)
    lines.removeAll { numbers.contains($0.number) }
    abandoned.subtract(numbers)
    return kept
  }
}

func parent(of path: String) -> String {
  path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
}
