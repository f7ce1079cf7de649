import ArgumentParser

/// The words after `--` of a command that takes words before it too. The library takes one list of words; so each of
/// these becomes the value of an option that no help shows.
enum TerminatedWords {
  static let name = NameSpecification.customLong(word)
  private static let word = "terminated-word"

  /// - Parameter arguments: without the program's name.
  /// - Returns: what the library is given.
  static func asOptions(_ arguments: [String]) -> [String] {
    let isOne = arguments.starts(with: ["explore", "disks"]) || ["test", "bench"].contains(arguments.first)
    guard isOne, let end = arguments.firstIndex(of: "--") else { return arguments }
    return arguments[..<end] + arguments[(end + 1)...].map { "--\(word)=\($0)" }
  }
}
