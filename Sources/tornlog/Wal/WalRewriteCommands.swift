import ArgumentParser
import Foundation
import LogModel
import LogTools
import Trials

struct WalConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write the messages of a log in another format.",
    discussion: """
      What the new format cannot say (keys, offsets, times) is named. Damaged places are left out, and counted.

        tornlog wal convert orders-0.wal --to chronik-v1 --output orders-0.chronik.wal

      Exit codes: 0 every message is there; 1 the input had damaged places; 64 wrong usage, or the output exists; 69 \
      it failed, \
      and there is no output.
      """)

  @Option(help: "The new format.")
  var to: LogSystem
  @Option(help: ArgumentHelp("The new file.", valueName: "file"), completion: .file())
  var output: String
  @Option(help: "The topic that the new file names, where its format does.")
  var topic = "converted"
  @Option(help: ArgumentHelp("The format of the input; without it the file tells.", valueName: "name"))
  var format: LogSystem?
  @Argument(help: ArgumentHelp("A file, or the folder of one log.", valueName: "file|folder"), completion: .file())
  var input: String

  func validate() throws {
    guard !topic.isEmpty, topic.utf8.count <= 249 else { throw ValidationError("--topic: 1 to 249 bytes") }
  }

  func run() throws {
    let made: LogConvert
    do throws(LogToolError) {
      let logs = try LogFolder(input).logs
      guard logs.count == 1 else { fail("there are \(logs.count) logs in \(input); name one", ExitStatus.usage) }
      made = try LogConvert(logs[0], format: format, to: to, output: output, topic: topic)
    } catch { WalExit.fail(error) }
    Console.print(made.losses.map { "not kept: \($0)" })
    Console.print([
      "\(output): \(made.messages) messages, \(SizeText.render(made.size)), \(made.from.rawValue) to \(to.rawValue)"
    ])
    throw ExitCode(made.damaged > 0 ? ExitStatus.violated : 0)
  }
}

struct WalCompactCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact",
    abstract: "Write what is still needed of a log to a new file.",
    discussion: """
      airunner: events that were neither sent nor refused. Replay buffer: transactions that were neither committed \
      nor rolled \
      back. Streamhouse and chronik version 1: the last record of each key, and all without a key. Logs of batches \
      are refused. A \
      damaged log is refused: repair it first.

        tornlog wal compact buffer.wal --output buffer.compact.wal

      Exit codes: 0 done; 64 wrong usage, or the output exists; 69 refused or failed, and there is no output.
      """)

  @Option(help: ArgumentHelp("The new file.", valueName: "file"), completion: .file())
  var output: String
  @Option(help: ArgumentHelp("The format; without it the file tells.", valueName: "name"))
  var format: LogSystem?
  @Flag(help: "Read a log that somebody has open. What is written meanwhile is missing in the output.")
  var force = false
  @Argument(help: ArgumentHelp("The log.", valueName: "file"), completion: .file())
  var input: String

  func run() throws {
    do throws(LogToolError) {
      let made = try LogCompact(input, into: output, format: format, isForced: force)
      if made.movesOffsets {
        Console.print(["this format carries no offsets: records behind a dropped one have others now"])
      }
      Console.print([
        "\(output): \(made.kept) records kept, \(made.dropped) dropped, \(SizeText.render(made.bytes)) became "
          + SizeText.render(made.size)
      ])
    } catch { WalExit.fail(error) }
  }
}
