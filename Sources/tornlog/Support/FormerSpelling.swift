import ArgumentParser

/// Words of version 0.1 that have other names now. They are accepted for one version more, and no help shows them.
///
/// | former | now |
/// | --- | --- |
/// | `explore`, `explore --reference` | `explore crashes`, `explore crashes --reference` |
/// | `explore --errors`, `--schedules` | `explore errors`, `explore schedules` |
/// | `explore --client NAME` | `explore clients NAME` |
/// | `explore --real FS` | `explore disks FS` |
/// | `--mishaps` | `--device-faults` |
/// | `defects --way NAME` | `defects --strategy NAME` |
enum FormerSpelling {
  /// - Parameter arguments: without the program's name.
  /// - Returns: the same in today's words.
  static func current(_ arguments: [String]) -> [String] {
    guard let command = arguments.first else { return arguments }
    let words = Array(arguments.dropFirst())
    switch command {
    case "explore": return [command] + explore(words.map { $0 == "--mishaps" ? "--device-faults" : $0 })
    case "defects":
      return [command] + words.map { $0 == "--way" || $0.hasPrefix("--way=") ? "--strategy" + $0.dropFirst(5) : $0 }
    case "wal": return [command] + wal(words)
    default: return arguments
    }
  }

  /// The replay-buffer plan has its tools as options: `--inspect`, `--verify`, `--compact`.
  private static func wal(_ words: [String]) -> [String] {
    guard let first = words.first, ["--inspect", "--verify", "--compact"].contains(first) else { return words }
    return [String(first.dropFirst(2))] + words.dropFirst()
  }

  private static func explore(_ words: [String]) -> [String] {
    let known = ExploreCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
    if let first = words.first, (known + ["help", "--help", "-h", "--version"]).contains(first) { return words }
    for search in ["errors", "schedules"] {
      if let at = words.firstIndex(of: "--\(search)") { return [search] + words[..<at] + words[(at + 1)...] }
    }
    for (option, search) in [("--client", "clients"), ("--real", "disks")] {
      let (values, others) = taken(option, from: words)
      if !values.isEmpty { return [search] + values + others }
    }
    return ["crashes"] + words
  }

  /// The values of an option, `--x y` and `--x=y`, and what is left without them.
  private static func taken(_ option: String, from words: [String]) -> (values: [String], others: [String]) {
    var (values, others): ([String], [String]) = ([], [])
    var isNext = false
    for word in words {
      if isNext {
        values.append(word)
        isNext = false
      } else if word == option {
        isNext = true
      } else if word.hasPrefix(option + "=") {
        values.append(String(word.dropFirst(option.count + 1)))
      } else {
        others.append(word)
      }
    }
    return (values, others)
  }
}
