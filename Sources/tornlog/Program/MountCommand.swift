import ArgumentParser
import CrashStates
import Foundation
import LogModel
import Reporting
import Trials
import Volume
import VolumeControl

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount",
    abstract: "Mount a file system in memory that loses what was not synced when it is told to.",
    discussion: """
      It serves until Ctrl-C. Meanwhile `tornlog volume DIR cut`, `fail`, `recover`, `stats` and `snapshot` act on it. Its socket is beside \
      the folder: .NAME.tornlog.

      Exit codes: 0 it has ended; 64 wrong usage; 69 it cannot be mounted.
      """)

  @Option(help: ArgumentHelp("Begin with a copy of this folder.", valueName: "dir"), completion: .directory)
  var from: String?
  @Option(help: ArgumentHelp("Let files have this much room.", valueName: "size"))
  var size: ByteSize?
  @Option(help: ArgumentHelp("Keep at most this much in memory; the rest goes to a file.", valueName: "size"))
  var memory = ByteSize(bytes: 1 << 30)
  @Argument(
    help: ArgumentHelp("An empty folder, or one that does not exist.", valueName: "dir"), completion: .directory)
  var folder: String

  func validate() throws {
    guard memory.bytes >= 64 << 20 else { throw ValidationError("--memory \(memory.bytes): at least 64MiB") }
  }

  func run() throws {
    var options = VolumeOptions()
    // What a cut leaves is put in again and again.
    options.isReused = true
    options.memoryLimit = memory.bytes
    let volume = Volume(options)
    let mount: VolumeMount
    do {
      if let from { try volume.takeIn(from) }
      volume.noteSyncAll()
      if let size { volume.limit = VolumeLimit(bytes: UInt64(size.bytes)) }
      mount = try VolumeMount(volume, at: folder)
    } catch { fail("\(error)", ExitStatus.unavailable) }
    let socket = ControlSocket.path(of: mount.folder)
    let listener: Int32
    do throws(ControlError) { listener = try ControlSocket.listen(at: socket) } catch {
      mount.unmount()
      fail("\(error)", ExitStatus.unavailable)
    }
    note("mounted at \(mount.folder); 'tornlog volume \(folder) cut' takes the power; Ctrl-C unmounts")
    ControlSocket.serve(listener, ControlledVolume(mount), isOver: { Interruption.isRequested })
    close(listener)
    unlink(socket)
    mount.unmount()
  }
}

struct VolumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Act on a volume that `tornlog mount` has mounted.",
    discussion: """
      cut: take the power; `--seed N` loses a part that follows from N, without it everything that may be lost is.
      fail KIND: have operations fail: write, fsync, fsyncdir, create, open, read, rename, unlink, mkdir, rmdir, truncate, \
      fallocate, link, symlink. recover: none fails any more.
      stats: what it holds. snapshot TO: copy what is there to a plain folder.

        tornlog volume /mnt/v fail fsync --path '*.wal' --error EIO --nth 3 --count 1
      """)

  enum Action: String, CaseIterable, ExpressibleByArgument { case cut, fail, recover, stats, snapshot }

  @Option(
    help: ArgumentHelp("cut: a state that this profile permits.", valueName: "name"), transform: ProfileChoice.init)
  var profile: ProfileChoice?
  @Option(help: ArgumentHelp("cut: lose a part that follows from n.", valueName: "n"))
  var seed: UInt64?
  @Option(
    help: ArgumentHelp(
      "fail: only paths like this, from the volume's root; * and ? stand for anything.", valueName: "glob"))
  var path: String?
  @Option(help: ArgumentHelp("fail: EIO, ENOSPC, EDQUOT, EROFS, EMFILE or ENOMEM.", valueName: "error"))
  var error = "EIO"
  @Option(help: ArgumentHelp("fail: from the nth such operation on.", valueName: "n"))
  var nth = 1
  @Option(help: ArgumentHelp("fail: n of them; without it all.", valueName: "n"))
  var count: Int?
  @Argument(help: ArgumentHelp("Where it is mounted.", valueName: "dir"), completion: .directory)
  var folder: String
  @Argument(help: "cut, fail, recover, stats or snapshot.")
  var action: Action
  @Argument(help: ArgumentHelp("The operation that fails, or the folder for the copy.", valueName: "what"))
  var what: String?

  func validate() throws {
    switch action {
    case .fail:
      let kinds = VolumeFault.kinds.keys.sorted().joined(separator: ", ")
      guard let what, VolumeFault.kinds[what] != nil else { throw ValidationError("fail: one of \(kinds)") }
      guard VolumeFault.errors[error] != nil else {
        throw ValidationError("--error \(error): one of \(VolumeFault.errors.keys.sorted().joined(separator: ", "))")
      }
      guard nth > 0, count ?? 1 > 0 else { throw ValidationError("--nth and --count: from 1") }
    case .snapshot:
      guard what != nil else { throw ValidationError("snapshot: name a folder for the copy") }
    case .cut, .recover, .stats:
      guard what == nil else { throw ValidationError("\(action.rawValue): takes nothing more") }
    }
    if case .all = profile { throw ValidationError("--profile all: name one") }
  }

  func run() throws {
    guard let resolved = realpath(folder, nil) else {
      fail("\(folder): \(String(cString: strerror(errno)))", ExitStatus.usage)
    }
    let place = String(cString: resolved)
    free(resolved)
    var words = [action.rawValue]
    switch action {
    case .cut:
      var name = "ext4-ordered"
      if case .one(let profile) = profile { name = profile.name }
      words += [name, seed.map { "\($0)" } ?? ""]
    case .fail: words += [what!, path ?? "", error, "\(nth)", count.map { "\($0)" } ?? ""]
    case .snapshot: words.append(URL(fileURLWithPath: what!).path)
    case .recover, .stats: break
    }
    do throws(ControlError) {
      let lines = try ControlSocket.ask(place, words)
      if !lines.isEmpty { Console.print(lines) }
    } catch { fail("\(error)", ExitStatus.unavailable) }
  }
}
