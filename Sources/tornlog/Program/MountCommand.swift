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
      It serves until Ctrl-C. Meanwhile `tornlog volume DIR cut`, `fail` and others act on it. Its socket is beside \
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
      mount = try VolumeMount(volume, at: folder, companion: ControlSocket.path)
    } catch { fail("\(error)", ExitStatus.unavailable) }
    let socket = ControlSocket.path(of: mount.folder)
    let listener: Int32
    do throws(ControlError) { listener = try ControlSocket.listen(at: socket) } catch {
      mount.unmount()
      fail("\(error)", ExitStatus.unavailable)
    }
    note("mounted at \(mount.folder); 'tornlog volume \(folder) cut' takes the power; Ctrl-C unmounts")
    ControlSocket.serve(listener, ControlledVolume(mount), limit: volume.limit, isOver: { Interruption.isRequested })
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
      fail KIND: have operations go wrong: write, fsync, fsyncdir, create, open, read, rename, unlink, mkdir, rmdir, truncate, \
      fallocate, link, symlink. `--path`, `--nth`, `--count`, `--byte`, `--written` and `--after` say which operations. `--how` says what happens:
        error (--error says which), error-after: it has happened; stall (--for)
        write: short, lost, torn, misdirected, flipped. read: short, flipped, unreadable
        fsync: pages-kept, pages-dropped, pages-reverted, reported-late, reported-at-close, lying. fsyncdir: lying
      full: there is no more room from now on; removing files gives some back. read-only: every change fails with EROFS.
      flip FILE --byte N: flip one bit of the stored file.
      recover: nothing fails any more. receipts: what was hit. stats: what it holds.
      snapshot TO: copy what is there to a plain folder.

        tornlog volume /mnt/v fail fsync --path '*.wal' --how pages-dropped --nth 3 --count 1
        tornlog volume /mnt/v fail write --error ENOSPC --written 10MiB
        tornlog volume /mnt/v fail read --how unreadable --path index --byte 4096
      """)

  enum Action: String, CaseIterable, ExpressibleByArgument {
    case cut, fail, full, flip, recover, receipts, stats, snapshot
    case readOnly = "read-only"
  }

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
  @Option(help: ArgumentHelp("fail: what happens; see above.", valueName: "way"))
  var how: VolumeFaultEffect?
  @Option(help: ArgumentHelp("fail: from the nth such operation on.", valueName: "n"))
  var nth = 1
  @Option(help: ArgumentHelp("fail: n of them; without it all.", valueName: "n"))
  var count: Int?
  @Option(help: ArgumentHelp("fail: only what touches this byte of its file, from 0. flip: this one.", valueName: "n"))
  var byte: UInt64?
  @Option(
    help: ArgumentHelp(
      "fail write: only once more than this has been written to such files from now on.", valueName: "size"))
  var written: ByteSize?
  @Option(help: ArgumentHelp("fail: not before this time has passed.", valueName: "time"))
  var after: Duration?
  @Option(name: .customLong("for"), help: ArgumentHelp("fail --how stall: how long.", valueName: "time"))
  var delay: Duration?
  @Argument(help: ArgumentHelp("Where it is mounted.", valueName: "dir"), completion: .directory)
  var folder: String
  @Argument(help: "cut, fail, full, read-only, flip, recover, receipts, stats or snapshot.")
  var action: Action
  @Argument(
    help: ArgumentHelp(
      "The operation that fails, the file with the bit, or the folder for the copy.", valueName: "what"))
  var what: String?

  func validate() throws {
    switch action {
    case .fail:
      guard what != nil else {
        throw ValidationError("fail: one of \(VolumeFault.kinds.keys.sorted().joined(separator: ", "))")
      }
      if let problem = fault.problem { throw ValidationError(problem) }
      if delay != nil, how != .stall { throw ValidationError("--for: only with --how stall") }
    case .flip:
      guard what != nil, byte != nil else { throw ValidationError("flip: name a file of the volume, and --byte") }
    case .snapshot:
      guard what != nil else { throw ValidationError("snapshot: name a folder for the copy") }
    case .cut, .full, .readOnly, .recover, .receipts, .stats:
      guard what == nil else { throw ValidationError("\(action.rawValue): takes nothing more") }
    }
    if action != .fail, hasTrigger { throw ValidationError("\(action.rawValue): takes no trigger; that is for fail") }
    if case .all = profile { throw ValidationError("--profile all: name one") }
  }

  /// Options of `fail` alone were given.
  private var hasTrigger: Bool {
    path != nil || how != nil || nth != 1 || count != nil || written != nil || after != nil || delay != nil
      || byte != nil && action != .flip
  }

  private var fault: VolumeFault {
    VolumeFault(
      what ?? "", pattern: path, how, error: error, first: nth, count: count, byte: byte,
      written: written.map { UInt64($0.bytes) }, after: UInt64(max(0, after?.nanoseconds ?? 0)),
      delay: UInt64(max(0, delay?.nanoseconds ?? 1_000_000_000)))
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
    case .fail: words.append(String(decoding: try JSONEncoder().encode(fault), as: UTF8.self))
    case .flip: words += [what!, "\(byte!)"]
    case .snapshot: words.append(URL(fileURLWithPath: what!).path)
    case .full, .readOnly, .recover, .receipts, .stats: break
    }
    do throws(ControlError) {
      let lines = try ControlSocket.ask(place, words)
      if !lines.isEmpty { Console.print(lines) }
    } catch { fail("\(error)", ExitStatus.unavailable) }
  }
}

extension VolumeFaultEffect: ExpressibleByArgument {}
