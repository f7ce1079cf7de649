import LogModel

/// A number of an alternative of a piece.
package typealias Alternative = UInt32

/// A moment at which power may go, with everything that a power cut is free to decide there.
///
/// The freedom is a list of *pieces*. Each has alternatives, of which the first is the durable one and `newest` the one
/// that everything which happened leads to. A state of the disk is one choice of alternatives.
package struct CrashPoint: Sendable {
  package enum Piece: Sendable {
    /// A unit of a file.
    case sectors(file: Int, UnitAlternatives)
    /// The size of a file: `FileHistory.durableSize`, or that of a mark that is kept; then these.
    case size(file: Int, growths: [FileHistory.Growth])
    /// Changes of metadata.
    case changes(KeptChanges)

    var count: Int {
      switch self {
      case .sectors(_, let unit): unit.contents.count
      case .size(_, let growths): growths.count + 1
      case .changes(let changes): changes.count
      }
    }

    package var newest: Int {
      switch self {
      case .sectors(_, let unit): unit.newest
      case .size, .changes: count - 1
      }
    }
  }

  /// The pieces of one file.
  struct FilePieces: Sendable {
    /// Places of its units among all pieces, in their order.
    var units: Range<Int> = 0..<0
    var size: Int?
    /// Something was written that no state shows, and may have been written back.
    var hasUnseen = false
    /// With those in flight.
    var marks: [FileHistory.Mark] = []
    var growths: [FileHistory.Growth] = []
    /// The deltas of all its units, and where each begins among them; see `UnitAlternatives`.
    var deltas: [UInt64] = []
    var firstDelta: [Int32] = []
    /// Behind the last sector of each unit.
    var ends: [Int32] = []
  }

  /// Events before this one have happened.
  package let event: Int
  package let profile: CrashProfile
  package private(set) var pieces: [Piece] = []
  /// The choice that keeps everything.
  package private(set) var everything: [Alternative] = []
  let files: [FileHistory]
  let names: NameSpace
  let inodes: InodeTable
  let table: PathTable
  let store: SectorStore
  /// Of the files that have any.
  private(set) var ofFile: [Int: FilePieces] = [:]
  /// Places of the pieces that are of metadata.
  private(set) var changePieces: [Int] = []
  /// Files of which a sync is in flight, a synchronous write too; or all.
  private(set) var syncing: Set<Int> = []
  private(set) var isSyncingAll = false
  /// More combinations are possible than its pieces have: of many operations in flight to one unit, of many changes of
  /// metadata at the same time, of many versions of a sector.
  package private(set) var omitsStates = false

  package init(_ disk: VolatileDisk, _ recording: Recording, at event: Int, foreign: ForeignBytes) {
    var cache = UnitCache()
    self.init(disk, recording, at: event, foreign: foreign, &cache)
  }

  /// - Parameter cache: of the crash point before this one, of the same disk.
  init(
    _ disk: VolatileDisk, _ recording: Recording, at event: Int, foreign: ForeignBytes, _ cache: inout UnitCache
  ) {
    self.event = event
    profile = disk.profile
    store = recording.store
    files = disk.files
    names = disk.names
    inodes = recording.inodes
    table = recording.table
    for flying in disk.inFlight {
      switch recording.operations[flying.operation] {
      case .sync(let file, _), .write(let file, _, _, durable: true): syncing.insert(Int(file))
      case .syncAll, .syncDirectory: isSyncingAll = true
      default: break
      }
    }
    var flight = Flight(disk, recording, at: event)
    var links = disk.links
    for change in flight.changes + flight.independent.flatMap({ $0 }) {
      if case .link(_, let inode) = change.effect { links[Int(inode)] += 1 }
    }
    // Of a file without a name nobody sees anything.
    let named = disk.unsettled.union(flight.files.keys).filter { links[$0] > 0 }.sorted()
    for f in named {
      let file = flight.files[f] ?? FileInFlight(files[f])
      addUnits(of: f, file, foreign, &cache)
    }
    for f in named where !ofFile[f]!.growths.isEmpty {
      ofFile[f]!.size = pieces.count
      append(.size(file: f, growths: ofFile[f]!.growths), newest: ofFile[f]!.growths.count)
    }
    if flight.omitsSyncs { omitsStates = true }
    addChanges(&flight)
  }

  private mutating func addUnits(
    of f: Int, _ file: FileInFlight, _ foreign: ForeignBytes, _ cache: inout UnitCache
  ) {
    let begin = pieces.count
    var own = FilePieces()
    let found = cache.units(of: f, file, at: event, profile, store, foreign)
    own.hasUnseen = found.hasUnseen
    for unit in found.units {
      append(.sectors(file: f, unit), newest: unit.newest)
      own.firstDelta.append(Int32(own.deltas.count))
      own.deltas += unit.deltas
      own.ends.append(Int32(unit.sectors.upperBound))
      if unit.omits { omitsStates = true }
    }
    own.units = begin..<pieces.count
    (own.marks, own.growths) = (file.allMarks, file.allGrowths)
    ofFile[f] = own
  }

  private mutating func append(_ piece: Piece, newest: Int) {
    pieces.append(piece)
    everything.append(Alternative(newest))
  }

  private mutating func addChanges(_ flight: inout Flight) {
    for changes in flight.independent { add(changes) }
    guard !flight.changes.isEmpty else { return }
    guard profile.names == .independent else { return add(flight.changes, flight.syncs) }
    // Each by itself, also of those that share a name; only those of one file keep their order.
    var ofFiles: [(file: InodeNumber, changes: [VolatileDisk.Change])] = []
    for change in flight.changes {
      switch change.effect {
      case .attributes: continue
      case .mark(let file):
        if let place = ofFiles.firstIndex(where: { $0.file == file }) {
          ofFiles[place].changes.append(change)
        } else {
          ofFiles.append((file, [change]))
        }
      case .link, .unlink, .rename, .exchange: add([change])
      }
    }
    for own in ofFiles { add(own.changes) }
  }

  private mutating func add(_ changes: [VolatileDisk.Change], _ syncs: [SyncedNames] = []) {
    let kept = KeptChanges(changes, syncs: syncs)
    if kept.omits { omitsStates = true }
    changePieces.append(pieces.count)
    append(.changes(kept), newest: kept.count - 1)
  }
}

/// What operations in flight may have done.
private struct Flight {
  /// By number, those that they touch.
  var files: [Int: FileInFlight] = [:]
  /// All changes of metadata that may be missing.
  var changes: [VolatileDisk.Change]
  /// Where there is no order: those of each operation by itself.
  var independent: [[VolatileDisk.Change]] = []
  /// What syncs of `changes` make durable out of order.
  let syncs: [SyncedNames]
  let omitsSyncs: Bool

  init(_ disk: VolatileDisk, _ recording: Recording, at event: Int) {
    changes = disk.changes
    (syncs, omitsSyncs) = disk.syncsInFlight(recording, at: event)
    var moment = event - 1
    for flying in disk.inFlight {
      // Each at a moment of its own: one may have happened without the other.
      moment += 1
      let operation = recording.operations[flying.operation]
      switch operation {
      case .write(let file, let offset, let bytes, _):
        let f = Int(file)
        var own = files[f] ?? FileInFlight(disk.files[f])
        let submitted = moment
        for (n, bytes) in ([bytes] + flying.changes).enumerated() {
          // Whichever of its contents the device has taken: one of them, or the other, or of each some sectors.
          if n > 0 { moment += 1 }
          own.write(recording.store, bytes, at: offset, disk.profile.edges, moment)
        }
        if offset + bytes.count > own.settledSize {
          own.growths.append(FileHistory.Growth(at: submitted, size: offset + bytes.count))
        }
        files[f] = own
      default:
        let effects = disk.effects(of: operation, flying.operation, at: event)
        switch operation {
        case .truncate(let file, _), .allocate(let file, _, _), .zero(let file, _):
          let f = Int(file)
          var own = files[f] ?? FileInFlight(disk.files[f])
          own.cut(operation, flying.operation, disk.profile.edges, recording.store, moment)
          files[f] = own
        default: break
        }
        let own = effects.map {
          VolatileDisk.Change(operation: flying.operation, effect: $0, submitted: flying.submittedAt, at: Int.max)
        }
        if own.isEmpty { continue }
        if disk.profile.names == .immediate { independent.append(own) } else { changes += own }
      }
    }
  }
}
