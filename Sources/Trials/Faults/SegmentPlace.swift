/// One file of a partition's log, by its place among them.
enum SegmentPlace: String, CaseIterable {
  case first, second
  case lastButOne = "last-but-one"
  case last

  /// - Parameter files: of one log, in order.
  /// - Returns: nil where the log has fewer files. `last-but-one` of one file is none; `last` of one file is that one.
  func choose(in files: [String]) -> String? {
    switch self {
    case .first: files.first
    case .second: files.dropFirst().first
    case .lastButOne: files.dropLast().last
    case .last: files.last
    }
  }
}
