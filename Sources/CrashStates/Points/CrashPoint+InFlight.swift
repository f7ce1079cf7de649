import LogModel
import Storage

// A power cut also decides of each operation in flight whether it had happened at all. A state in which it had not is a
// state of the same moment without the operation, with fewer pieces: the simpler story.

extension CrashPoint {
  /// The choice of this crash point that leads to the same disk as `choice` does at `other`, a crash point of the same
  /// moment with more operations in flight, or fewer; nil where there is none.
  func choice(like choice: [Alternative], of other: CrashPoint) -> [Alternative]? {
    var own = nothing
    for (index, piece) in pieces.enumerated() {
      // A piece that the other has not got is only of operations that had not happened.
      guard let place = other.pieces.firstIndex(where: { $0.isSame(as: piece) }) else { continue }
      guard let picked = piece.alternative(like: Int(choice[place]), of: other.pieces[place]) else { return nil }
      own[index] = Alternative(picked)
    }
    return contentHash(own) == other.contentHash(choice) ? own : nil
  }

  /// The choice that keeps what `choice` keeps at `other`, where there is such a thing here, and otherwise the newest.
  func choice(near choice: [Alternative], of other: CrashPoint) -> [Alternative] {
    pieces.map { piece in
      guard let place = other.pieces.firstIndex(where: { $0.isSame(as: piece) }) else {
        return Alternative(piece.newest)
      }
      return Alternative(piece.alternative(like: Int(choice[place]), of: other.pieces[place]) ?? piece.newest)
    }
  }
}

extension CrashPoint.Piece {
  /// Whether both decide over the same sectors, size, or names.
  fileprivate func isSame(as other: Self) -> Bool {
    switch (self, other) {
    case (.sectors(let file, let unit), .sectors(let otherFile, let other)):
      file == otherFile && unit.first == other.first
    case (.size(let file, _), .size(let otherFile, _)): file == otherFile
    case (.changes(let own), .changes(let others)):
      own.changes.first?.effect.subject == others.changes.first?.effect.subject
    default: false
    }
  }

  fileprivate func alternative(like picked: Int, of other: Self) -> Int? {
    switch (self, other) {
    case (.sectors(_, let unit), .sectors(_, let other)):
      unit.contents.indices.first {
        unit.contents[$0] == other.contents[picked] && unit.era(of: $0) == other.era(of: picked)
      }
    case (.size(_, let growths), .size(_, let others)):
      picked == 0 ? 0 : growths.lastIndex { $0.size == others[picked - 1].size }.map { $0 + 1 }
    case (.changes(let own), .changes(let others)):
      (0..<own.count).first { Set(own.kept($0).map(\.operation)) == Set(others.kept(picked).map(\.operation)) }
    default: nil
    }
  }
}

extension VolatileDisk.Change.Effect {
  /// What a group of changes is told apart by.
  fileprivate var subject: [Int32] {
    switch self {
    case .link, .unlink, .rename, .exchange: entries
    case .attributes(let inode): [-1, inode]
    case .mark(let file): [-2, file]
    }
  }
}

/// The operations in flight at a crash point, which is seen with all of them, as tokens number its pieces, and without
/// those that had not happened in the state that is looked at, as stories tell it.
package struct FlyingOperations {
  /// A state without some of them.
  package struct View {
    /// Numbers of operations.
    package var dropped: Set<Int>
    package var point: CrashPoint
    package var choice: [Alternative]
  }

  private let full: CrashPoint
  private let disk: VolatileDisk
  private let recording: Recording
  private let foreign: ForeignBytes

  init(_ full: CrashPoint, _ recording: Recording, seed: UInt64, at event: Int) {
    self.full = full
    self.recording = recording
    foreign = ForeignBytes(recording, seed: seed)
    var disk = VolatileDisk(recording, full.profile)
    for index in 0..<event { disk.apply(index, of: recording) }
    self.disk = disk
  }

  private func point(without dropped: Set<Int>) -> CrashPoint {
    var disk = disk
    disk.inFlight.removeAll { dropped.contains($0.operation) }
    return CrashPoint(disk, recording, at: full.event, foreign: foreign)
  }

  /// The state without the operations that had not happened in it.
  package func view(_ choice: [Alternative]) -> View {
    var view = View(dropped: [], point: full, choice: choice)
    for flying in disk.inFlight {
      let dropped = view.dropped.union([flying.operation])
      let fewer = point(without: dropped)
      guard let own = fewer.choice(like: view.choice, of: view.point) else { continue }
      view = View(dropped: dropped, point: fewer, choice: own)
    }
    return view
  }

  /// Takes away one operation in flight after the other, and gives back one deviation from *everything kept* after the
  /// other, as long as the state still fails.
  package func calmed(_ start: [Alternative], _ stillFails: ([Alternative]) -> Bool) -> [Alternative] {
    var view = view(start)
    func fails(_ other: View) -> Bool {
      full.choice(like: other.choice, of: other.point).map(stillFails) ?? false
    }
    for flying in disk.inFlight where !view.dropped.contains(flying.operation) {
      let dropped = view.dropped.union([flying.operation])
      let fewer = point(without: dropped)
      let other = View(dropped: dropped, point: fewer, choice: fewer.choice(near: view.choice, of: view.point))
      if fails(other) { view = other }
    }
    for index in view.choice.indices where Int(view.choice[index]) != view.point.pieces[index].newest {
      var other = view
      other.choice[index] = Alternative(view.point.pieces[index].newest)
      if fails(other) { view = other }
    }
    return full.choice(like: view.choice, of: view.point) ?? start
  }
}
