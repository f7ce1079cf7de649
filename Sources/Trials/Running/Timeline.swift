import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage

/// The persistence trace in a file, written line by line, so that a SIGKILL takes nothing of it.
enum TraceFile {
  /// - Parameter failed: told the errno of the first line that could not be written; nothing is written after it.
  static func open(_ path: String, failed: @escaping (Int32) -> Void) throws(TrialError) -> Trace {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system("write the trace to", path, errno) }
    // The descriptor stays open as long as the process lives: the trace may be written to until its last moment.
    var isBroken = false
    return Trace { entry in
      guard !isBroken, let code = write("\(entry)\n", to: descriptor) else { return }
      isBroken = true
      failed(code)
    }
  }

  /// - Returns: the errno; nil where all of it was written.
  private static func write(_ line: String, to descriptor: Int32) -> Int32? {
    let bytes = Array(line.utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return count < 0 ? errno : EIO }
      done += count
    }
    return nil
  }
}

/// What `reproduce` prints around the result.
public enum Timeline {
  public static func header(_ spec: TrialSpec) -> String {
    let more = AxisDescriptor.all.filter { axis in
      [.ifUnusual, .inTimeline].contains(axis.mention) && !axis.isUsual(in: spec.settings)
    }.map { ", \($0.name) \($0.value(in: spec.settings))" }.joined()
    return """
      \(spec.scenario), seed \(spec.seed), storage \(spec.storage.rawValue)
        \(spec.messages) messages of \(spec.messageSize) bytes in batches of \(spec.batch), \
      \(spec.partitions) partitions, \(spec.producers) producers
        sync \(spec.sync), recovery \(spec.recovery.rawValue), crash \(spec.crash.rawValue), \
      defect \(spec.defect)\(more)
      """
  }

  /// The trace with its legend: what changes the disk, acknowledgements, faults. Nil where there is none.
  /// - Parameters:
  ///   - whole: reads and look-ups too, and the middle of long lives.
  ///   - focus: files of which nothing is left out.
  public static func excerpt(of path: String, whole: Bool, focus: Set<String>) -> String? {
    guard let data = FileManager.default.contents(atPath: path), !data.isEmpty else { return nil }
    let lines = PersistenceTrace(String(decoding: data, as: UTF8.self)).lines(whole: whole, focus: focus)
    let more =
      whole ? [] : ["  -v shows every operation; --trace PATH writes them all, with times of the machine's clock"]
    return (["timeline"] + PersistenceTrace.legend.map { "  \($0)" } + lines + more).map { "\($0)\n" }.joined()
  }
}

extension TrialSpec {
  /// What decides the trial, as axes for a report.
  public var axes: Axes {
    let always = AxisDescriptor.all.filter { $0.mention == .always }
    let more = AxisDescriptor.all.filter { $0.mention == .ifUnusual && !$0.isUsual(in: settings) }
    return Axes((always + more).map { ($0.name, Axes.Value($0.value(in: settings))) })
  }
}

extension Axes.Value {
  init(_ value: AxisValue) {
    switch value {
    case .integer(let n): self = .integer(n)
    case .text(let text): self = .text(text)
    }
  }
}
