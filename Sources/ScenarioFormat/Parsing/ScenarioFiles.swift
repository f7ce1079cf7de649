import Glibc

/// Finds and reads scenario files.
public enum ScenarioFiles {
  public static let sizeLimit = 1 << 20

  /// The scenarios of files and folders; of a folder every `.yaml` and `.yml` below it, by name. Scenarios of programs
  /// in a folder are left out. What is wrong with all of them is thrown together.
  public static func load(_ paths: [String], vocabulary: Vocabulary) throws(InvalidScenarios) -> [Scenario] {
    try load(
      paths, name: \.name, file: \.file, { !ProgramScenarioParser.isProgram($0) },
      "this is a scenario of a program; `tornlog test` takes it"
    ) {
      (text, file) throws(InvalidScenarios) in
      try ScenarioParser.parse(text, file: file, vocabulary: vocabulary)
    }
  }

  /// The same for scenarios of programs; all others in a folder are left out.
  public static func loadPrograms(
    _ paths: [String], _ vocabulary: ProgramVocabulary
  ) throws(InvalidScenarios) -> [ProgramScenario] {
    try load(
      paths, name: \.name, file: \.file, ProgramScenarioParser.isProgram,
      "this scenario has no 'program'; `tornlog run` takes it"
    ) {
      (text, file) throws(InvalidScenarios) in
      try ProgramScenarioParser.parse(text, file: file, vocabulary)
    }
  }

  private static func load<Loaded>(
    _ paths: [String], name: (Loaded) -> String, file: (Loaded) -> String, _ isOurs: (String) -> Bool, _ advice: String,
    _ parse: (_ text: String, _ file: String) throws(InvalidScenarios) -> Loaded
  ) throws(InvalidScenarios) -> [Loaded] {
    var errors: [ScenarioError] = []
    var files: [String] = []
    for path in paths {
      do {
        for file in try find(path) where !files.contains(file) { files.append(file) }
      } catch { errors.append(error) }
    }
    var loaded: [Loaded] = []
    for path in files {
      do {
        let text = try read(path)
        guard isOurs(text) else {
          if paths.contains(path) { errors.append(ScenarioError(SourcePosition(file: path), .otherKind(advice))) }
          continue
        }
        let one = try parse(text, path)
        if let first = loaded.first(where: { name($0) == name(one) }) {
          let place = SourcePosition(file: path, line: 1, column: 1)
          errors.append(
            ScenarioError(place, .repeatedScenario(name(one), first: SourcePosition(file: file(first)))))
        }
        loaded.append(one)
      } catch let error as InvalidScenarios {
        errors += error.errors
      } catch let error as ScenarioError {
        errors.append(error)
      } catch {
        preconditionFailure("\(error)")
      }
    }
    guard errors.isEmpty else { throw InvalidScenarios(errors) }
    return loaded
  }

  /// The scenario files that a path stands for, sorted.
  public static func find(_ path: String) throws(ScenarioError) -> [String] {
    let mode = try mode(of: path)
    if mode == S_IFREG { return [path] }
    guard mode == S_IFDIR else { throw ScenarioError(SourcePosition(file: path), .notAFile) }
    let found = try walk(path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
    guard !found.isEmpty else { throw ScenarioError(SourcePosition(file: path), .noScenarios) }
    return found
  }

  /// The text of one file of at most `sizeLimit` bytes.
  public static func read(_ path: String) throws(ScenarioError) -> String {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else { throw failure(path) }
    defer { close(fd) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let n = Glibc.read(fd, &chunk, chunk.count)
      if n < 0, errno == EINTR { continue }
      guard n >= 0 else { throw failure(path) }
      if n == 0 { break }
      bytes += chunk[..<n]
      guard bytes.count <= sizeLimit else {
        var status = stat()
        let size = fstat(fd, &status) == 0 ? Int(status.st_size) : bytes.count
        throw ScenarioError(SourcePosition(file: path), .fileTooLarge(bytes: max(size, bytes.count), limit: sizeLimit))
      }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ScenarioError(SourcePosition(file: path), .notUTF8)
    }
    return text
  }

  private static func walk(_ folder: String) throws(ScenarioError) -> [String] {
    guard let stream = opendir(folder) else { throw failure(folder) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      // `man 3 readdir`: the end and an error both answer null; only errno tells them apart.
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw failure(folder) }
        break
      }
      names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    var files: [String] = []
    for name in names.sorted() where !name.hasPrefix(".") {
      let path = folder + "/" + name
      var status = stat()
      guard lstat(path, &status) == 0 else { throw failure(path) }
      if status.st_mode & S_IFMT == S_IFDIR {
        files += try walk(path)
      } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
        // Anything else (a pipe, say) could block the reader.
        guard try mode(of: path) == S_IFREG else { throw ScenarioError(SourcePosition(file: path), .notAFile) }
        files.append(path)
      }
    }
    return files
  }

  private static func mode(of path: String) throws(ScenarioError) -> mode_t {
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure(path) }
    return status.st_mode & S_IFMT
  }

  private static func failure(_ path: String) -> ScenarioError {
    let code = errno
    return ScenarioError(SourcePosition(file: path), .unreadable(errno: code, reason: String(cString: strerror(code))))
  }
}
