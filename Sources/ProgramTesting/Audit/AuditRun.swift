import Drivers
import Foundation
import Glibc
import Volume
import VolumeStates

/// How a command is audited.
package struct AuditOptions: Sendable {
  package var command: [String]
  /// The command works on a copy of this folder, in memory.
  package var folder: String
  /// A line of standard output that matches is an acknowledgement; nil: none is.
  package var acknowledgement: String?
  /// Nanoseconds that the command may take.
  package var limit: UInt64 = 600_000_000_000
  package var memoryLimit = 1 << 30
  package var directory = "/tmp"
  package var isIsolated = geteuid() == 0
  package var isCancelled: @Sendable () -> Bool = { false }

  package init(_ command: [String], folder: String) { (self.command, self.folder) = (command, folder) }
}

/// A command that ran on a volume, with all that it did to its files.
struct AuditRun {
  var recorded: VolumeRecording
  var trace: VolumeTrace
  /// Inode of the folder.
  var root: UInt64
  /// Operations that made the copy.
  var prepared: Int
  /// Places of the acknowledgements in the trace, with their lines.
  var acknowledgements: [(place: Int, line: String)] = []
  var ending: DriverEnding
  var lastWords: [String]
  /// Seconds that the command took.
  var seconds: Double

  /// - Parameter show: is given each line of the command's standard output.
  init(_ options: AuditOptions, show: (String) -> Void) throws(ProgramTestError) {
    let pattern: NSRegularExpression?
    do { pattern = try options.acknowledgement.map { try NSRegularExpression(pattern: $0) } } catch {
      throw .machine("--ack-pattern is no regular expression: \(options.acknowledgement!)")
    }
    var volumeOptions = VolumeOptions()
    volumeOptions.memoryLimit = options.memoryLimit
    let volume = Volume(volumeOptions)
    let mount: VolumeMount
    do {
      root = try volume.put([VolumeNode(parent: -1, name: Array("data".utf8), mode: S_IFDIR | 0o755)])[0]
      try volume.takeIn(options.folder, into: root)
    } catch { throw .machine("\(error)") }
    prepared = volume.trace.count
    do {
      mount = try VolumeMount(
        volume, at: options.directory + "/tornlog-\(getpid())-audit", cutsConnection: true)
    } catch { throw .mount("\(error)") }
    defer { mount.unmount() }
    let channel = try ReplyChannel(mount, number: 1)
    var place = DriverPlace()
    place.channel = (channel.path, channel.reading)
    place.isIsolated = options.isIsolated
    place.onSync = mount.syncNote
    var command = DriverCommand(options.command, folder: mount.folder + "/data")
    if options.isIsolated {
      // Absolute paths lead there too.
      place.binds = [(mount.folder + "/data", options.folder)]
      command.folder = options.folder
    }
    let began = DriverProcess.now
    let process: DriverProcess
    do throws(DriverError) { process = try DriverProcess(command, place) } catch { throw .driver(error) }
    process.endInput()
    var lines = 0
    var found: [(line: Int, text: String)] = []
    let deadline = began + options.limit
    reading: while true {
      switch process.next(until: min(deadline, DriverProcess.now + 200_000_000)) {
      case .line(let bytes):
        let text = String(decoding: bytes, as: UTF8.self)
        show(text)
        let range = NSRange(text.startIndex..., in: text)
        if let pattern, pattern.firstMatch(in: text, range: range) != nil { found.append((lines, text)) }
        lines += 1
      case .ended: break reading
      case .timeout:
        if options.isCancelled() { throw .machine("interrupted") }
        if DriverProcess.now >= deadline {
          throw .machine(
            "the command did not end within \(options.limit / 1_000_000_000) s; --time-limit gives it more")
        }
      }
    }
    ending = process.end()
    lastWords = process.lastWords()
    seconds = Double(DriverProcess.now - began) / 1e9
    let ends = volume.trace.lineEnds(of: channel.inode)
    acknowledgements = found.filter { $0.line < ends.count }.map { (ends[$0.line], $0.text) }
    if let limit = volume.machineLimit { throw .machine(limit) }
    trace = volume.trace
    recorded = VolumeRecording(trace, root: root, durableUntil: prepared)
  }
}
