import ArgumentParser

/// The systematic searches, one subcommand each.
struct ExploreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explore",
    abstract: "Search systematically: crash states, failing operations, orders of execution.",
    discussion: """
      Every search runs in virtual time, but for `disks`. Each names what it has covered. Each ends with exit code 1 where a \
      promise was broken, and with 2 where it has no verdict.
      """,
    subcommands: [
      ExploreCrashesCommand.self, ExploreErrorsCommand.self, ExploreSchedulesCommand.self, ExploreClientsCommand.self,
      ExploreDisksCommand.self,
    ])
}
