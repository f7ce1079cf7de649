import LogModel

/// What earlier looks have settled of requests that were never answered: once a restart has shown how one came out, it
/// stays so. A look in the life that was asked settles nothing for later lives: what it was shown may not be what
/// stands on the disk.
struct LastKnown {
  private let looks: [Observation]
  /// After which the look that is judged was made.
  private let restart: Int

  /// - Parameters:
  ///   - look: that is judged.
  ///   - earlier: the looks before it, oldest first. What was seen before any crash, or in a look that was cut off,
  ///     settles nothing.
  init(_ look: Observation, _ earlier: [Observation]) {
    restart = look.restart
    looks = earlier.filter { $0.isFinished && ($0.restart > 0 || $0.restart == look.restart) }
  }

  /// Whether the newest look that could know has found the partition registered; nil where none could, or somebody has
  /// asked for it once more since.
  func isRegistered(_ creation: Creation, slot: Int) -> Bool? {
    for look in looks.reversed() where look.mark.creations > slot && look.restart >= creation.incarnation {
      if creation.outcome == .indeterminate, !canSettle(creation.incarnation, look) { continue }
      guard let registered = look.registered else { continue }
      let isThere = registered.contains(creation.partition)
      if !isThere, creation.repeatedIn.contains(where: { $0 >= look.restart }) { return nil }
      return isThere
    }
    return nil
  }

  /// An answer for a group's offset.
  struct Commit {
    var offset: Offset?
    /// After which it was answered.
    var restart: Int
    /// Commits of the history that had been asked for by then.
    var commits: Int
    /// Operations of the history that had been submitted by then.
    var operations: Int
  }

  /// Whether `look` shows how a request came out that was asked for in `incarnation`, before it, and not answered.
  private func canSettle(_ incarnation: Int, _ look: Observation) -> Bool {
    look.restart != incarnation || look.restart == restart
  }

  /// The newest answer for a group's offset in a partition that settles it; nil where there is none.
  /// - Parameter commits: of the history, in the order in which they were asked for.
  func commit(of group: String, _ slot: Int, _ commits: ArraySlice<OffsetCommit>) -> Commit? {
    for look in looks.reversed() {
      let isOpen = commits.prefix(look.mark.commits).contains {
        $0.outcome == .indeterminate && $0.group == group && $0.partition.index == slot
          && !canSettle($0.incarnation, look)
      }
      if isOpen { continue }
      guard let found = look.commits.last(where: { $0.group == group && $0.partition.index == slot }) else { continue }
      return Commit(
        offset: found.offset, restart: look.restart, commits: look.mark.commits, operations: look.mark.operations)
    }
    return nil
  }
}
