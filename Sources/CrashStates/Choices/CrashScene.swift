import LogModel

/// A crash state with everything that it is made of.
package struct CrashScene {
  /// A power cut inside the recovery.
  package struct RecoveryCut {
    package var recovery: RecordedRecovery
    package var event: Int
    package var choice: [Alternative]

    package init(recovery: RecordedRecovery, event: Int, choice: [Alternative]) {
      self.recovery = recovery
      self.event = event
      self.choice = choice
    }

    package var point: CrashPoint { recovery.point(at: event) }
  }

  package let recording: Recording
  /// Of the workload.
  let seed: UInt64
  /// Events of the recording before the power cut.
  package var moment: Int
  package var point: CrashPoint
  package var choice: [Alternative]
  package var inner: RecoveryCut?

  package init(
    recording: Recording, seed: UInt64, moment: Int, point: CrashPoint, choice: [Alternative], inner: RecoveryCut? = nil
  ) {
    self.recording = recording
    self.seed = seed
    self.moment = moment
    self.point = point
    self.choice = choice
    self.inner = inner
  }

  /// The disk that the machine finds which is looked at.
  package var image: DiskImage { inner.map { $0.point.image($0.choice) } ?? point.image(choice) }

  package var flying: FlyingOperations { FlyingOperations(point, recording, seed: seed, at: moment) }

  package func flyingInside(_ inner: RecoveryCut) -> FlyingOperations {
    FlyingOperations(inner.point, inner.recovery.recording, seed: seed, at: inner.event)
  }

  /// 32 bits of what leads here: the kind and the time of every event before the power cut, and every byte of the disk
  /// after it. An engine that does something else, or the same at other times, has another one.
  package var fingerprint: UInt32 {
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
}

extension RecordedEvent {
  /// A small number: what happened, and how it ended.
  fileprivate var kind: UInt64 {
    switch what {
    case .submitted(let number): UInt64(number) << 4
    case .changed(let number, _): UInt64(number) << 4 | 12
    case .completed(let number, let succeeded, _): UInt64(number) << 4 | (succeeded ? 1 : 2)
    case .fact(let fact): fact.kind
    }
  }
}

/// The recovery of one state as it was recorded, with the moments at which it may be cut off itself.
package struct RecordedRecovery {
  /// Operations of a recovery at which it is cut off; a hundred times what one makes. What it does after them is not
  /// seen, and the report says so.
  package static let mostOperations = 2000

  package let recording: Recording
  /// After each of its events.
  package let points: [CrashPoint]

  /// - Parameter event: from 1 to `points.count`.
  package func point(at event: Int) -> CrashPoint { points[event - 1] }

  package init(_ recording: Recording, _ profile: CrashProfile, seed: UInt64) {
    self.recording = recording
    var walk = CrashPointWalk(recording, profile, seed: seed)
    points = recording.events.indices.map { walk.point(at: $0 + 1) }
  }
}
