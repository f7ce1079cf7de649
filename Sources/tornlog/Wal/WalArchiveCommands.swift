import ArgumentParser
import Foundation
import LogModel
import LogTools
import Trials

extension LogArchive.Level: ExpressibleByArgument {}

struct WalArchiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive",
    abstract: "Compress logs with zstd into a folder.",
    discussion: """
      Each log becomes NAME.wal.zst, which `zstd -d` and `zstd -l` read. It is read back and compared before it gets \
      its name. A \
      log with events that were not sent is refused, and so is one that somebody has open.

        tornlog wal archive ~/.airunner/wal/*.wal --to ~/.airunner/archive --remove

      Exit codes: 0 all are archived; 64 wrong usage, or an archive exists; 69 one was refused or failed: those \
      before it are \
      archived.
      """)

  @Option(help: ArgumentHelp("The folder of the archives.", valueName: "folder"), completion: .directory)
  var to: String
  @Option(help: "How hard to compress: levels 1, 3, 7 and 11 of zstd.")
  var level = LogArchive.Level.standard
  @Flag(help: "Remove each log when its archive is on the medium.")
  var remove = false
  @Flag(help: "Archive a log with events that were not sent, or that somebody has open: they are not sent any more.")
  var force = false
  @Argument(help: ArgumentHelp("The logs.", valueName: "file"), completion: .file())
  var paths: [String]

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name a log") }
  }

  func run() throws {
    for path in paths {
      do throws(LogToolError) {
        let made = try LogArchive(path, into: to, level: level, removing: remove, isForced: force)
        let ratio = Double(made.packedBytes) * 100 / Double(max(1, made.bytes))
        Console.print([
          "\(made.archive): \(SizeText.render(made.bytes)) in \(SizeText.render(made.packedBytes)), ratio "
            + "\((ratio * 10).rounded() / 10) %\(made.isRemoved ? "; \(path) is removed" : "")"
        ])
      } catch { WalExit.fail(error) }
      if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    }
  }
}

struct WalRestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Unpack archives, or make a log of what an object store holds.",
    discussion: """
      An archive is one of zstd or gzip. A folder TOPIC/PARTITION of an object store (`*.tlo`) becomes segments that \
      Tornlog's \
      engine and these tools read. An archive that is damaged gives nothing.

        tornlog wal restore ~/.airunner/archive/*.wal.zst --to ~/.airunner/wal
        tornlog wal restore data/store/orders/0 --to rescued

      Exit codes: 0 all are restored; 64 wrong usage, or a file exists; 69 one failed.
      """)

  @Option(help: ArgumentHelp("The folder of what is restored.", valueName: "folder"), completion: .directory)
  var to: String
  @Argument(
    help: ArgumentHelp("Archives, or the folder of a partition in an object store.", valueName: "file|folder"),
    completion: .file())
  var paths: [String]

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name an archive, or a folder of an object store") }
  }

  func run() throws {
    for path in paths {
      do throws(LogToolError) {
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
          let made = try ObjectRestore(path, into: to)
          Console.print(
            made.files.map { "\(to)/\($0)" } + [
              "\(made.files.count) segments with \(made.messages) messages, offsets \(made.offsets.lowerBound)"
                + "..<\(made.offsets.upperBound)"
            ] + made.gaps.map { "missing: offsets \($0.lowerBound)..<\($0.upperBound) are in no object" })
        } else {
          let made = try LogRestore(path, into: to)
          Console.print(["\(made.path): \(SizeText.render(made.bytes))"])
        }
      } catch { WalExit.fail(error) }
      if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    }
  }
}

/// An age like 30d, 12h or 2w.
struct Age: ExpressibleByArgument {
  var seconds: Int64
  static let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]

  init?(argument: String) {
    guard let unit = argument.last.flatMap({ Self.units[$0] }), let number = Int64(argument.dropLast()), number >= 0,
      number < 1 << 32
    else { return nil }
    seconds = number * unit
  }
}

struct WalCleanupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cleanup",
    abstract: "Remove old archives that nobody needs any more.",
    discussion: """
      Only compressed files go: `*.wal.zst`, `*.wal.gz`. What is active, holds unsent events or unfinished \
      transactions, cannot be \
      read, or is a segment of which nothing tells that it was uploaded stays, and is named. The age is that of the \
      last write.

        tornlog wal cleanup --older-than=30d                  # ~/.airunner/archive
        tornlog wal cleanup --older-than=7d --dry-run data/wal

      Exit codes: 0 done, whatever stays; 64 wrong usage; 69 a file could not be removed.
      """)

  @Option(help: ArgumentHelp("Remove what was written longer ago: 30d, 12h, 2w.", valueName: "age"))
  var olderThan: Age
  @Flag(help: "Only say what would be removed.")
  var dryRun = false
  @Argument(
    help: ArgumentHelp("The folder; ~/.airunner/archive without one.", valueName: "folder"), completion: .directory)
  var folder: String?

  func run() throws {
    let folder = folder ?? WalInput.home + "/.airunner/archive"
    do throws(LogToolError) {
      let done = try LogCleanup(
        folder, olderThan: olderThan.seconds, now: Int64(Date().timeIntervalSince1970), isDryRun: dryRun)
      Console.print(done.removed.map { "\(dryRun ? "would remove" : "removed") \($0)" })
      Console.print(done.kept.map { "kept \($0.path): \($0.why)" })
      Console.print([
        "\(done.removed.count) \(dryRun ? "would go" : "removed"), \(SizeText.render(done.freedBytes)); "
          + "\(done.kept.count) old ones kept, \(done.young) not old enough"
      ])
    } catch { WalExit.fail(error) }
  }
}

struct WalMigrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Move a folder of logs to another disk, and leave a link to it.",
    discussion: """
      Every file is copied, synced and compared; then the folder is renamed to FOLDER.before-migration, and FOLDER \
      becomes a link \
      to the new one. Remove the old one when you are content. Stop the writers first.

        tornlog wal migrate ~/.airunner/wal --to /mnt/ssd/airunner/wal

      Exit codes: 0 done; 64 wrong usage, or something stands in the way; 69 it failed, and the folder is as it was.
      """)

  @Option(help: ArgumentHelp("The new folder: an absolute path, nothing there yet.", valueName: "folder"))
  var to: String
  @Flag(help: "Copy logs that somebody has open. What is written meanwhile stays in the old folder only.")
  var force = false
  @Argument(help: ArgumentHelp("The folder.", valueName: "folder"), completion: .directory)
  var folder: String

  func run() throws {
    do throws(LogToolError) {
      let done = try LogMigrate(
        folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder, to: to, isForced: force)
      Console.print([
        "\(done.files) files, \(SizeText.render(done.bytes)), copied and compared",
        "\(done.from) is a link to \(done.to) now; the old files are in \(done.kept)",
      ])
    } catch { WalExit.fail(error) }
  }
}
