import CrashStates
import Foundation
import Yams

/// Why a trace cannot be read.
package struct DiskTraceError: Error, CustomStringConvertible, Sendable {
  package var file: String
  package var problem: String

  package var description: String { "\(file): \(problem)" }
}

extension DiskTrace {
  /// The traces in a folder, by name.
  /// - Throws: `DiskTraceError` for a folder without traces, or one that is not in the form of a trace.
  package static func all(in folder: String) throws(DiskTraceError) -> [DiskTrace] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
    } catch {
      throw DiskTraceError(file: folder, problem: "the folder cannot be read: \(error.localizedDescription)")
    }
    guard !names.isEmpty else {
      throw DiskTraceError(
        file: folder, problem: "there is no trace in it; name the folder Examples/traces of Tornlog")
    }
    var traces: [DiskTrace] = []
    for name in names.sorted() { traces.append(try DiskTrace(reading: "\(folder)/\(name)")) }
    return traces
  }

  /// - Throws: `DiskTraceError`
  package init(reading path: String) throws(DiskTraceError) {
    do {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      self = try YAMLDecoder().decode(Form.self, from: text).trace()
    } catch let error as DiskTraceError {
      throw DiskTraceError(file: path, problem: error.problem)
    } catch {
      throw DiskTraceError(file: path, problem: "\(error)")
    }
  }

  fileprivate struct Form: Decodable {
    struct Claim: Decodable {
      var after: Int
      var on: [String]
      var state: [String: String]
      var source: String
    }

    struct Provocation: Decodable {
      var after: Int
      var `do`: String
    }

    var name: String
    var about: String
    var setup: [String]?
    var steps: [String]
    var provoke: [Provocation]?
    var forbidden: [Claim]?
    var possible: [Claim]?

    func trace() throws(DiskTraceError) -> DiskTrace {
      var trace = DiskTrace(
        name: name, about: about, setup: [], steps: [], provocations: [], forbidden: [], possible: [])
      for line in setup ?? [] { trace.setup.append(try TraceOperation(line)) }
      for line in steps { trace.steps.append(try TraceOperation(line)) }
      for item in provoke ?? [] { trace.provocations.append((item.after, try DiskTrace.Provocation(item.do))) }
      for item in forbidden ?? [] { trace.forbidden.append(try item.claim()) }
      for item in possible ?? [] { trace.possible.append(try item.claim()) }
      return trace
    }
  }
}

extension DiskTrace.Form.Claim {
  fileprivate func claim() throws(DiskTraceError) -> DiskTrace.Claim {
    var systems: [TracedFileSystem] = []
    for word in on {
      guard let system = TracedFileSystem(rawValue: word) else {
        throw DiskTraceError(file: "", problem: "no file system is called \(word): ext4, xfs, btrfs or posix")
      }
      systems.append(system)
    }
    return DiskTrace.Claim(after: after, on: systems, state: try MountedImage(trace: state), source: source)
  }
}

extension MountedImage {
  /// - Parameter form: what stands at each path: `dir`, `-> TARGET`, or runs of bytes, `A*4096 0*512`.
  init(trace form: [String: String]) throws(DiskTraceError) {
    self.init()
    for (path, text) in form {
      if path.hasSuffix("/") {
        directories.insert(String(path.dropLast()))
      } else if text.hasPrefix("-> ") {
        links[path] = String(text.dropFirst(3))
      } else {
        var bytes: [UInt8] = []
        for run in text.split(separator: " ") {
          let parts = run.split(separator: "*")
          guard parts.count == 2, let letter = parts[0].utf8.first, parts[0].utf8.count == 1, let count = Int(parts[1])
          else { throw DiskTraceError(file: "", problem: "`\(run)` is no run of bytes, as A*4096 is") }
          bytes += [UInt8](repeating: letter == UInt8(ascii: "0") ? 0 : letter, count: count)
        }
        files[path] = bytes
      }
    }
  }

  /// The same notation, in one line.
  package var traceText: String {
    let texts = files.mapValues { bytes -> String in
      var runs: [(byte: UInt8, count: Int)] = []
      for byte in bytes {
        if runs.last?.byte == byte { runs[runs.count - 1].count += 1 } else { runs.append((byte, 1)) }
      }
      let words = runs.map { "\($0.byte == 0 ? "0" : String(UnicodeScalar($0.byte)))*\($0.count)" }
      return words.isEmpty ? "\"\"" : words.joined(separator: " ")
    }
    let all =
      texts.map { "\($0.key): \($0.value)" } + directories.map { "\($0)/" } + links.map { "\($0.key): -> \($0.value)" }
    return all.isEmpty ? "nothing" : all.sorted().joined(separator: ", ")
  }
}

extension DiskTrace.Provocation {
  init(_ line: String) throws(DiskTraceError) {
    let words = line.split(separator: " ").map(String.init)
    if words == ["commit"] {
      self = .commit
    } else if words.count == 4, words[0] == "writeback", let offset = Int(words[2]), let length = Int(words[3]) {
      self = .writeBack(path: words[1], offset: offset, length: length)
    } else {
      throw DiskTraceError(file: "", problem: "`\(line)` is neither `commit` nor `writeback PATH OFFSET LENGTH`")
    }
  }
}

extension TraceOperation {
  /// - Throws: `DiskTraceError` for a line that is no operation.
  init(_ line: String) throws(DiskTraceError) {
    guard let operation = Self.parse(line.split(separator: " ").map(String.init)) else {
      throw DiskTraceError(file: "", problem: "`\(line)` is no operation of a trace")
    }
    self = operation
  }

  private static func parse(_ words: [String]) -> TraceOperation? {
    guard let verb = words.first else { return nil }
    switch (verb, words.count) {
    case ("syncfs", 1): return .syncFileSystem
    case ("create", 2): return .create(words[1])
    case ("mkdir", 2): return .makeDirectory(words[1])
    case ("unlink", 2): return .unlink(words[1])
    case ("rmdir", 2): return .removeDirectory(words[1])
    case ("fsync", 2): return .sync(words[1], isFull: true)
    case ("fdatasync", 2): return .sync(words[1], isFull: false)
    case ("fsyncdir", 2): return .syncDirectory(words[1] == "." ? "" : words[1])
    case ("utimes", 2): return .changeTimes(words[1])
    case ("rename", 3): return .rename(words[1], words[2])
    case ("exchange", 3): return .exchange(words[1], words[2])
    case ("link", 3): return .link(words[1], words[2])
    case ("symlink", 3): return .symbolicLink(target: words[1], words[2])
    case ("truncate", 3): return Int(words[2]).map { .truncate(words[1], $0) }
    case ("chmod", 3): return Int(words[2], radix: 8).map { .changeMode(words[1], $0) }
    case ("setxattr", 4): return .setAttribute(words[1], name: words[2], value: words[3])
    default: return parseRange(verb, words)
    }
  }

  private static func parseRange(_ verb: String, _ words: [String]) -> TraceOperation? {
    guard words.count >= 4, let offset = Int(words[2]), let length = Int(words[3]) else { return nil }
    switch (verb, words.count) {
    case ("write", 5), ("dwrite", 5):
      guard let letter = words[4].utf8.first, words[4].utf8.count == 1 else { return nil }
      return .write(words[1], offset: offset, length: length, letter: letter, durable: verb == "dwrite")
    case ("allocate", 4): return .allocate(words[1], offset: offset, length: length, keepsSize: false)
    case ("allocate-keep", 4): return .allocate(words[1], offset: offset, length: length, keepsSize: true)
    case ("punch", 4): return .punch(words[1], offset: offset, length: length)
    case ("zero", 4): return .zero(words[1], offset: offset, length: length)
    default: return nil
    }
  }
}
