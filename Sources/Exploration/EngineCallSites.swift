import Foundation
import Runtime
import Storage

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
/// A call is `storage.OPERATION(`, or in an `extension Storage` the bare `await OPERATION(`. The list is derived anew each
/// time, so that a call which somebody adds is missed by the coverage until a fault has hit it; a call in a form that this
/// does not know is found out by the first fault that hits it: its site is in no list.
struct EngineSource {
  /// Modules of the engine.
  static let modules = ["WriteAheadLog", "PartitionEngine"]
  /// Operations that can fail. `man 2 close`: the handle is gone whatever it says.
  static let kinds = OperationKind.allCases.filter { $0 != .close }

  let sites: [EngineCallSite]

  /// - Parameter root: the folder `Sources`; where this program was built from, if nothing else is said.
  /// - Throws: `ExplorationError.noSources` where it cannot be read.
  init(root: String = Self.builtFrom) throws(ExplorationError) {
    var found: Set<EngineCallSite> = []
    for module in Self.modules {
      let folder = URL(fileURLWithPath: root).appendingPathComponent(module)
      do {
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() where file.hasSuffix(".swift") {
          let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
          found.formUnion(Self.sites(in: text, file: "\(module)/\(file)"))
        }
      } catch {
        throw .noSources(folder.path)
      }
    }
    sites = found.sorted()
  }

  /// `Sources/`, as the compiler saw it.
  static let builtFrom = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path

  static func sites(in text: String, file: String) -> [EngineCallSite] {
    var found: [EngineCallSite] = []
    var isInExtension = false
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("extension ") { isInExtension = line.hasPrefix("extension Storage ") }
      if line == "}" { isInExtension = false }
      let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
      for kind in kinds {
        let calls = ["storage.\(kind.rawValue)("] + (isInExtension ? ["await \(kind.rawValue)("] : [])
        if calls.contains(where: { code.contains($0) }) {
          found.append(EngineCallSite(file: file, line: index + 1, kind: kind))
        }
      }
    }
    return found
  }
}

/// Finds out from which line of the engine an operation was started: from the chain of functions that await it, and the
/// program's debug information.
final class CallSiteProbe: @unchecked Sendable {
  // Owned by one worker.

  private let images: ImageMap? = .capture()
  /// By the address at which a function goes on; nil for what is not the engine's.
  private var known: [UInt64: (file: String, line: Int)?] = [:]

  /// To be called by a storage around the engine's once it has awaited the operation: on Linux a backtrace goes on from a
  /// function that has been resumed, and from no other, to those that await it.
  func site(of kind: OperationKind) -> EngineCallSite? {
    let trace: Backtrace
    do { trace = try Backtrace.capture(algorithm: .auto, limit: 64, images: images) } catch { return nil }
    let addresses = trace.frames.compactMap(Self.address)
    if addresses.contains(where: { known[$0] == nil }) { learn(trace) }
    for case let place?? in addresses.map({ known[$0] }) {
      return EngineCallSite(file: place.file, line: place.line, kind: kind)
    }
    return nil
  }

  private static func address(_ frame: Backtrace.Frame) -> UInt64? {
    switch frame {
    case .programCounter(let address), .returnAddress(let address), .asyncResumePoint(let address): UInt64(address)
    default: nil
    }
  }

  private func learn(_ trace: Backtrace) {
    guard let symbols = trace.symbolicated(with: images, options: .default) else { return }
    for frame in symbols.frames {
      guard let address = Self.address(frame.captured), known[address] == nil || known[address]! == nil else { continue }
      known[address] = .some(nil)
      guard let place = frame.symbol?.sourceLocation else { continue }
      for module in EngineSource.modules {
        guard let range = place.path.range(of: "/Sources/\(module)/") else { continue }
        known[address] = .some((module + "/" + place.path[range.upperBound...], place.line))
      }
    }
  }
}
