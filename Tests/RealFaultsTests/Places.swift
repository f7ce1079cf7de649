import Foundation
import Glibc
import Testing

let isRoot = geteuid() == 0

/// A folder below the temporary one, which goes with its owner.
final class Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/tornlog-faults-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    chmod(path, 0o755)
  }

  func folder(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
    return path + "/" + name
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(error)") }
  }
}

/// A command that has ended.
func command(_ words: String...) throws -> (code: Int32, output: String) {
  let process = Process()
  let pipe = Pipe()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = words
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// A small file system of its own: unmounted with its owner, lazily if it is busy.
final class Disk {
  enum Kind: String {
    case tmpfs, ext4
  }

  /// Why there is none here; nil where there is.
  static let tmpfsRefusal = refusal(.tmpfs)
  static let ext4Refusal = refusal(.ext4)

  /// Found out by mounting one.
  private static func refusal(_ kind: Kind) -> String? {
    if !isRoot { return "only root may mount a \(kind)" }
    do {
      _ = try Disk(kind)
      return nil
    } catch { return "\(kind) cannot be mounted here: \(error)" }
  }

  struct Refused: Error, CustomStringConvertible { var description: String }

  private let scratch: Scratch
  let path: String
  private let kind: Kind

  init(_ kind: Kind) throws {
    scratch = try Scratch()
    path = try scratch.folder("disk")
    self.kind = kind
    switch kind {
    case .tmpfs:
      guard mount("tmpfs", path, "tmpfs", 0, "size=2m") == 0 else {
        throw Refused(description: String(cString: strerror(errno)))
      }
    case .ext4:
      let image = scratch.path + "/image"
      guard FileManager.default.createFile(atPath: image, contents: nil), truncate(image, 16 << 20) == 0 else {
        throw Refused(description: String(cString: strerror(errno)))
      }
      let made = try command("mkfs.ext4", "-q", "-F", "-m", "0", image)
      guard made.code == 0 else { throw Refused(description: made.output) }
      let mounted = try command("mount", "-o", "loop", image, path)
      guard mounted.code == 0 else { throw Refused(description: mounted.output) }
    }
  }

  /// `mount -o remount`.
  func remount(_ options: String) throws {
    let ended = try command("mount", "-o", "remount,\(options)", path)
    guard ended.code == 0 else { throw Refused(description: ended.output) }
  }

  private var filler: String { path + "/filler" }

  /// Takes all space but so many bytes.
  func fill(leaving bytes: Int) throws {
    let descriptor = open(filler, O_WRONLY | O_CREAT, 0o600)
    guard descriptor >= 0 else { throw Refused(description: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var status = statvfs()
    guard fstatvfs(descriptor, &status) == 0 else { throw Refused(description: String(cString: strerror(errno))) }
    let free = Int(status.f_bavail) * Int(status.f_frsize)
    guard posix_fallocate(descriptor, 0, off_t(max(4096, free - bytes))) == 0 else {
      throw Refused(description: "no filler")
    }
  }

  func freeSpace() { unlink(filler) }

  deinit {
    if umount2(path, 0) != 0, umount2(path, Int32(MNT_DETACH)) != 0 { print("left mounted: \(path)") }
  }
}

/// The workload in a process of its own; see `FaultWorker`.
final class WorkerLife {
  static let program: String = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).standardizedFileURL.deletingLastPathComponent()
    if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
      access(folder.path + "/FaultWorker", X_OK) != 0
    {
      folder = URL(fileURLWithPath: own).deletingLastPathComponent()
    }
    while folder.path != "/" {
      var isFolder: ObjCBool = false
      let candidate = folder.appendingPathComponent("FaultWorker").path
      if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
    preconditionFailure("FaultWorker is not beside the tests")
  }()

  private let process = Process()
  private let pipe = Pipe()
  private var pending: [UInt8] = []
  private(set) var lines: [String] = []

  /// - Parameter user: a command that runs the rest of its words, as somebody else.
  init(_ words: [String], program: String = WorkerLife.program, as user: [String] = []) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = user + [program] + words
    process.standardOutput = pipe
    try process.run()
  }

  /// The next line; nil at the end.
  func next() -> String? {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeSubrange(...end)
        lines.append(line)
        return line
      }
      let data = pipe.fileHandleForReading.availableData
      if data.isEmpty { return nil }
      pending += data
    }
  }

  /// Everything it says, to its end.
  func finish() -> [String] {
    while next() != nil {}
    process.waitUntilExit()
    return lines
  }

  /// SIGKILL, and what had been said.
  func kill() -> [String] {
    Glibc.kill(process.processIdentifier, SIGKILL)
    return finish()
  }

  deinit {
    if process.isRunning {
      Glibc.kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }
}
