import LogModel

/// What earlier readbacks have settled of requests that were never answered: once a restart has shown how one came out,
/// it stays so. A readback in the life that was asked settles nothing for later lives: what it was shown may not be
/// what stands on the disk.
struct LastKnown {
  private let readbacks: [Observation]
  /// After which the readback that is judged was made.
  private let restart: Int

  /// - Parameters:
  ///   - readback: that is judged.
  ///   - earlier: the readbacks before it, oldest first. What was seen before any crash, or in a readback that was cut
  ///     off, settles nothing.
  init(_ readback: Observation, _ earlier: [Observation]) {
    restart = readback.restart
    readbacks = earlier.filter { $0.isFinished && ($0.restart > 0 || $0.restart == readback.restart) }
  }

  /// Whether the newest readback that could know has found the partition registered; nil where none could, or somebody
  /// has asked for it once more since.
  func isRegistered(_ creation: Creation, slot: Int) -> Bool? {
    for readback in readbacks.reversed()
    where readback.mark.creations > slot && readback.restart >= creation.incarnation {
      if creation.outcome == .indeterminate, !canSettle(creation.incarnation, readback) { continue }
      guard let registered = readback.registered else { continue }
      let isThere = registered.contains(creation.partition)
      if !isThere, creation.repeatedIn.contains(where: { $0 >= readback.restart }) { return nil }
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

  /// Whether `readback` shows how a request came out that was asked for in `incarnation`, before it, and not answered.
  private func canSettle(_ incarnation: Int, _ readback: Observation) -> Bool {
    readback.restart != incarnation || readback.restart == restart
  }

  /// The newest answer for a group's offset in a partition that settles it; nil where there is none.
  /// - Parameter commits: of the history, in the order in which they were asked for.
  func commit(of group: String, _ slot: Int, _ commits: ArraySlice<OffsetCommit>) -> Commit? {
    for readback in readbacks.reversed() {
      let isOpen = commits.prefix(readback.mark.commits).contains {
        $0.outcome == .indeterminate && $0.group == group && $0.partition.index == slot
          && !canSettle($0.incarnation, readback)
      }
      if isOpen { continue }
      guard let found = readback.commits.last(where: { $0.group == group && $0.partition.index == slot }) else {
        continue
      }
      return Commit(
        offset: found.offset, restart: readback.restart, commits: readback.mark.commits,
        operations: readback.mark.operations)
    }
    return nil
  }
}
