import Defects
import LogModel
import Verification

/// A crash state with everything that it is made of.
struct CrashScene {
  /// A power cut inside the recovery.
  struct RecoveryCut {
    var recovery: RecordedRecovery
    var event: Int
    var choice: [Alternative]

    var point: CrashPoint { recovery.point(at: event) }
  }

  let recording: Recording
  /// Of the workload.
  let seed: UInt64
  /// Events of the recording before the power cut.
  var moment: Int
  var point: CrashPoint
  var choice: [Alternative]
  var inner: RecoveryCut?

  /// The disk that the machine finds which is looked at.
  var image: DiskImage { inner.map { $0.point.image($0.choice) } ?? point.image(choice) }

  var flying: FlyingOperations { FlyingOperations(point, recording, seed: seed, at: moment) }

  func flyingInside(_ inner: RecoveryCut) -> FlyingOperations {
    FlyingOperations(inner.point, inner.recovery.recording, seed: seed, at: inner.event)
  }

  /// 32 bits of what leads here: the kind and the time of every event before the power cut, and every byte of the disk
  /// after it. An engine that does something else, or the same at other times, has another one.
  var fingerprint: UInt32 {
    var hash = mix64(UInt64(moment))
    func take(_ events: ArraySlice<RecordedEvent>) {
      for event in events { hash = mix64(hash ^ event.kind ^ UInt64(bitPattern: event.time.nanoseconds) << 8) }
    }
    take(recording.events[..<moment])
    hash = mix64(hash ^ point.contentHash(choice))
    if let inner {
      take(inner.recovery.recording.events[..<inner.event])
      hash = mix64(hash ^ inner.point.contentHash(inner.choice))
    }
    return UInt32(truncatingIfNeeded: hash)
  }

  func state(_ exploration: Exploration, _ profile: CrashProfile) -> CrashState {
    CrashState(
      workload: exploration.options.workload, defect: exploration.options.defect?.id, profile: profile,
      cut: CrashState.Cut(event: moment, kept: KeptPieces(choice, of: point)),
      recoveryCut: inner.map { CrashState.Cut(event: $0.event, kept: KeptPieces($0.choice, of: $0.point)) },
      fingerprint: fingerprint)
  }
}

extension RecordedEvent {
  /// A small number: what happened, and how it ended.
  fileprivate var kind: UInt64 {
    switch what {
    case .submitted(let number): UInt64(number) << 4
    case .changed(let number, _): UInt64(number) << 4 | 12
    case .completed(let number, let succeeded, _): UInt64(number) << 4 | (succeeded ? 1 : 2)
    case .fact(.opened): 3
    case .fact(.topicRequested): 4
    case .fact(.topicAnswered): 5
    case .fact(.requested(let n)): UInt64(n) << 4 | 6
    case .fact(.answered(let n, let outcome, _)): UInt64(n) << 4 | (outcome == .acknowledged ? 7 : 8)
    case .fact(.commitRequested(let n)): UInt64(n) << 4 | 9
    case .fact(.commitAnswered(let n, let outcome)): UInt64(n) << 4 | (outcome == .acknowledged ? 10 : 11)
    case .fact(.archived(let partition, let end)): UInt64(partition) << 40 ^ UInt64(end.rawValue) << 4 | 13
    case .fact(.said): 14
    case .fact(.read(let n)): UInt64(n) << 4 | 15
    }
  }
}

/// The recovery of one state as it was recorded, with the moments at which it may be cut off itself.
struct RecordedRecovery {
  /// Operations of a recovery at which it is cut off; a hundred times what one makes. What it does after them is not seen,
  /// and the report says so.
  static let mostOperations = 2000

  let recording: Recording
  /// After each of its events.
  let points: [CrashPoint]

  /// - Parameter event: from 1 to `points.count`.
  func point(at event: Int) -> CrashPoint { points[event - 1] }

  init(_ recording: Recording, _ profile: CrashProfile, seed: UInt64) {
    self.recording = recording
    let foreign = ForeignBytes(recording, seed: seed)
    var disk = VolatileDisk(recording, profile)
    points = recording.events.indices.map { index in
      disk.apply(index, of: recording)
      return CrashPoint(disk, recording, at: index + 1, foreign: foreign)
    }
  }

  /// How far the states of one of its crash points are enumerated.
  static func limits(_ options: ExplorationOptions) -> StateEnumeration.Limits {
    StateEnumeration.Limits(
      bound: min(2, options.bound), statesPerPoint: min(16, options.statesPerPoint), samples: min(4, options.samples))
  }
}
