import Foundation
import Runtime
import Storage
import Synchronization

/// A place in the engine's source that calls a fallible operation of the seam.
public struct EngineCallSite: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Below `Sources/`.
  public var file: String
  /// From 1.
  public var line: Int
  public var kind: OperationKind

  public var description: String { "\(file):\(line) \(kind.rawValue)" }

  public static func < (a: Self, b: Self) -> Bool {
    (a.file, a.line, a.kind.rawValue) < (b.file, b.line, b.kind.rawValue)
  }
}

/// Every fallible call site of the seam, read from the engine's source.
///
/// A call is `storage.OPERATION(`, or in an `extension Storage` the bare `await OPERATION(`; `writeWhole` is a write. The list is derived anew each
/// time, so that a call which somebody adds is missed by the coverage until a fault has hit it; a call in a form that this
/// does not know is found out by the first fault that hits it: its site is in no list.
struct EngineSource: Sendable {
  /// Folders of the engine's source, and single files of others.
  static let modules = ["WriteAheadLog", "PartitionEngine", "RecordLogs", "ObjectStore"]
  static let files = ["Storage/Interface/DurableDirectories.swift"]
  /// Operations that can fail. `man 2 close`: the handle is gone whatever it says.
  static let kinds = OperationKind.allCases.filter { $0 != .close }

  let sites: [EngineCallSite]
  /// By file: its lines without comments.
  private let lines: [String: [Substring]]

  /// - Parameter root: the folder `Sources`; where this program was built from, if nothing else is said.
  /// - Throws: `ExplorationError.noSources` where it cannot be read.
  init(root: String = Self.builtFrom) throws(ExplorationError) {
    var texts: [String: String] = [:]
    for module in Self.modules {
      let folder = URL(fileURLWithPath: root).appendingPathComponent(module)
      do {
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasSuffix(".swift") {
          texts["\(module)/\(file)"] = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
        }
      } catch {
        throw .noSources(folder.path)
      }
    }
    for file in Self.files {
      let path = URL(fileURLWithPath: root).appendingPathComponent(file)
      do { texts[file] = try String(contentsOf: path, encoding: .utf8) } catch { throw .noSources(path.path) }
    }
    self.init(texts: texts)
  }

  /// - Parameter texts: by file.
  init(texts: [String: String]) {
    lines = texts.mapValues { text in
      text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
      }
    }
    sites = lines.flatMap { file, lines in Self.sites(in: lines, file: file) }.sorted()
  }

  /// The name of an engine's source file below `Sources/`; nil for any other file.
  static func file(_ path: String) -> String? {
    // Of specialized functions the debug information has paths below the package's folder.
    guard let range = ("/" + path).range(of: "/Sources/") else { return nil }
    let file = String(("/" + path)[range.upperBound...])
    return files.contains(file) || modules.contains { file.hasPrefix($0 + "/") } ? file : nil
  }

  /// `Sources/`, as the compiler saw it.
  static let builtFrom = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized.path

  private static func sites(in lines: [Substring], file: String) -> [EngineCallSite] {
    var found: [EngineCallSite] = []
    var isInExtension = false
    for (index, line) in lines.enumerated() {
      if line.hasPrefix("extension ") { isInExtension = line.hasPrefix("extension Storage ") }
      if line == "}" { isInExtension = false }
      for kind in kinds {
        // `writeWhole` writes, again and again where need be.
        let names = kind == .write ? [kind.rawValue, "writeWhole"] : [kind.rawValue]
        let calls = names.flatMap { ["storage.\($0)("] + (isInExtension ? ["await \($0)("] : []) }
        if calls.contains(where: { line.contains($0) }) {
          found.append(EngineCallSite(file: file, line: index + 1, kind: kind))
        }
      }
    }
    return found
  }

  /// The listed site that `place` stands for. An optimizer that puts one function into another leaves the line of the call:
  /// then it is the only site of its kind in the functions of the names that are called there, or that these call.
  /// - Parameter function: that it is in, as far as that is known.
  /// - Returns: `place` itself where it is listed, or where that leaves none or several.
  func resolve(_ place: EngineCallSite, in function: EngineFunction? = nil) -> EngineCallSite {
    if sites.contains(place) { return place }
    if let function, let site = onlySite(place.kind, in: function) { return site }
    guard let line = lines[place.file]?.dropFirst(place.line - 1).first else { return place }
    // Of some functions only the line of the declaration is known.
    var bodies = Self.name(declaredIn: line).map { name in self.bodies(name).filter { $0.file == place.file && $0.lines.contains(place.line) } } ?? []
    var names = Self.calls(in: line)
    for _ in 0..<4 {
      if bodies.isEmpty { bodies = names.flatMap(self.bodies) }
      let found = sites(place.kind, in: bodies)
      // Mostly the optimizer puts together what is of one module.
      let own = found.filter { $0.file.prefix { $0 != "/" } == place.file.prefix { $0 != "/" } }
      if let site = own.count == 1 ? own.first : found.count == 1 ? found.first : nil { return site }
      if !found.isEmpty { return place }
      names = Set(bodies.flatMap { body in body.lines.flatMap { Self.calls(in: lines[body.file]?[$0 - 1] ?? "") } })
      bodies = []
    }
    return place
  }

  private func sites(_ kind: OperationKind, in bodies: [(file: String, lines: ClosedRange<Int>)]) -> Set<EngineCallSite> {
    Set(sites.filter { site in
      site.kind == kind && bodies.contains { $0.file == site.file && $0.lines.contains(site.line) }
    })
  }

  /// The one call of its kind in the functions of that name and type; nil where there is none, or several.
  func onlySite(_ kind: OperationKind, in function: EngineFunction) -> EngineCallSite? {
    let found = sites(kind, in: bodies(function.name).filter { function.mayStand(in: $0.file) })
    return found.count == 1 ? found.first : nil
  }

  func has(_ function: EngineFunction) -> Bool { bodies(function.name).contains { function.mayStand(in: $0.file) } }

  /// The functions of a name, wherever they are.
  private func bodies(_ name: String) -> [(file: String, lines: ClosedRange<Int>)] {
    lines.flatMap { file, lines in
      lines.indices.compactMap { index -> (String, ClosedRange<Int>)? in
        guard lines[index].contains("func \(name)(") else { return nil }
        if lines[index].contains("{"), lines[index].hasSuffix("}") { return (file, index + 1...index + 1) }
        let indent = lines[index].prefix { $0 == " " }
        // A requirement of a protocol has no body: what comes first is another declaration, or the end of the protocol.
        let opening = lines[index...].firstIndex {
          $0.hasSuffix("{") || $0.isEmpty || $0.hasSuffix("}") || ($0.startIndex != lines[index].startIndex && $0.contains("func "))
        }
        guard let opening, lines[opening].hasSuffix("{") else { return nil }
        return lines[opening...].firstIndex { $0 == indent + "}" }.map { (file, index + 1...$0 + 1) }
      }
    }
  }

  private static func name(declaredIn line: Substring) -> String? {
    line.range(of: "func ").map { String(line[$0.upperBound...].prefix { $0 != "(" && $0 != "<" }) }
  }

  /// Identifiers before an opening parenthesis.
  private static func calls(in line: Substring) -> Set<String> {
    var found: Set<String> = []
    var word = ""
    for character in line {
      if character.isLetter || character.isNumber || character == "_" { word.append(character) } else {
        if character == "(", !word.isEmpty { found.insert(word) }
        word = ""
      }
    }
    return found
  }
}

/// A function as a symbol names it: `specialized RecordRepair.removeUnlessDamaged(_:_:)`.
struct EngineFunction: Hashable, Sendable {
  var type: String
  var name: String

  /// Nil for thunks and whatever else is no function of a type.
  init?(symbol: String) {
    let head = symbol.prefix { $0 != "(" && $0 != "<" }
    guard !head.hasPrefix("protocol witness"), let dot = head.lastIndex(of: "."), let start = head[..<dot].lastIndex(where: { $0 == " " || $0 == "." }) ?? head.indices.first else {
      return nil
    }
    name = String(head[head.index(after: dot)...])
    type = String(head[start..<dot].drop { $0 == " " || $0 == "." })
  }

  /// The files of a type are named after it; an extension of `Storage` may stand anywhere.
  func mayStand(in file: String) -> Bool {
    guard type != "Storage" else { return true }
    let stem = file.drop { $0 != "/" }.dropFirst().prefix { $0 != "." && $0 != "+" }
    return stem == type
  }
}

/// Finds out from which line of the engine an operation was started: from the chain of functions that await it, and the
/// program's debug information. An address is looked up once in the life of the program: in a large one that takes
/// milliseconds.
final class CallSiteProbe: Sendable {
  private struct Place {
    /// Nil of a function that the optimizer has made, a specialized one say, and that the debug information has no place for.
    var file: String?
    var line: Int
    var function: EngineFunction
  }

  private static let noFile = "//<compiler-generated>"
  private let source: EngineSource
  private let images = ImageMap.capture()
  /// By the address at which a function goes on; nil for what is not the engine's.
  private static let known = Mutex<[UInt64: Place?]>([:])
  private let resolved = Mutex<[EngineCallSite: EngineCallSite]>([:])

  init(_ source: EngineSource) { self.source = source }

  /// To be called by a storage around the engine's once it has awaited the operation: on Linux a backtrace goes on from a
  /// function that has been resumed, and from no other, to those that await it.
  func site(of kind: OperationKind) -> EngineCallSite? {
    guard let trace = try? Backtrace.capture(algorithm: .auto, limit: 48, top: 0, images: images) else { return nil }
    for frame in trace.frames {
      guard let address = Self.address(frame), let place = place(address) else { continue }
      guard let file = place.file else {
        if let found = source.onlySite(kind, in: place.function) { return found }
        continue
      }
      let site = EngineCallSite(file: file, line: place.line, kind: kind)
      if let found = resolved.withLock({ $0[site] }) { return found }
      let found = source.resolve(site, in: place.function)
      resolved.withLock { $0[site] = found }
      return found
    }
    return nil
  }

  private static func address(_ frame: Backtrace.Frame) -> UInt64? {
    switch frame {
    case .programCounter(let address), .returnAddress(let address), .asyncResumePoint(let address): UInt64(address)
    default: nil
    }
  }

  private func place(_ address: UInt64) -> Place? {
    if let found = Self.known.withLock({ $0[address] }) { return found }
    let found = lookUp(address)
    Self.known.withLock { $0[address] = .some(found) }
    return found
  }

  private func lookUp(_ address: UInt64) -> Place? {
    // One frame at a time, for the same reason.
    for offset in 0..<64 {
      guard
        let trace = try? Backtrace.capture(algorithm: .auto, limit: 2, offset: offset, top: 0, images: images),
        let first = Array(trace.frames).first
      else { return nil }
      guard Self.address(first) == address else { continue }
      guard let symbols = trace.symbolicated(with: images, options: .default) else { return nil }
      // Of functions that were put into one another the innermost comes first.
      for frame in symbols.frames where Self.address(frame.captured) == address {
        guard let symbol = frame.symbol, let function = EngineFunction(symbol: symbol.name) else { continue }
        if let place = symbol.sourceLocation, place.path != Self.noFile {
          guard let file = EngineSource.file(place.path) else { continue }
          return Place(file: file, line: place.line, function: function)
        }
        if source.has(function) { return Place(file: nil, line: 0, function: function) }
      }
      return nil
    }
    return nil
  }
}
