import CrashStates
import Drivers
import LogModel
import VolumeStates

/// What crash states leave of each file: as it was before the command, as it is after it, or something else.
///
/// The idea is that of C3 (Jiang et al., FSE 2016): a program that replaces a file should leave the old one or the new
/// one, whenever it crashes.
struct FileStates {
  /// A file that some state leaves in between.
  struct Between: Sendable {
    var path: String
    /// It was there before the command.
    var wasThere: Bool
    /// States, and the profile of the first: nil is a kill.
    var states = 0
    var profile: CrashProfile?
    /// In words.
    var example: String
    var story: [String]
  }

  private(set) var between: [String: Between] = [:]
  private(set) var states = 0
  private(set) var isWhole = true

  /// - Parameters:
  ///   - begin: events of the recording before the command's first.
  init(
    _ recorded: VolumeRecording, begin: Int, _ profiles: [CrashProfile], seed: UInt64, deadline: UInt64,
    isCancelled: () -> Bool
  ) {
    let recording = recorded.recording
    var first = CrashPointWalk(recording, .posixMinimal, seed: seed)
    let start = first.point(at: begin)
    let before = start.image(start.everything).contents
    let end = first.point(at: recording.events.count)
    let after = end.image(end.everything).contents
    for profile in [nil] + profiles.map(Optional.some) {
      var walk = CrashPointWalk(recording, profile ?? .posixMinimal, seed: seed)
      var seen: Set<UInt64> = []
      for event in begin...max(begin, recording.events.count) {
        if isCancelled() || DriverProcess.now >= deadline {
          isWhole = false
          return
        }
        let point = walk.point(at: event)
        var resolver = StateResolver(point)
        func look(_ choice: [Alternative]) {
          guard seen.insert(resolver.contentHash(choice)).inserted else { return }
          states += 1
          let contents = resolver.image(choice).contents
          for path in Set(before.keys).union(after.keys) {
            let found = contents[path]
            if found == before[path] || found == after[path] { continue }
            note(path, found?.size, before[path]?.size, after[path]?.size, recording, profile, event, point, choice)
          }
        }
        if profile == nil {
          look(point.everything)
        } else {
          let limits = StateEnumeration.Limits(bound: 1, statesPerPoint: 128, samples: 4)
          StateEnumeration(point, limits).forEach(seed: seed) { choice, _ in look(choice) }
        }
      }
    }
  }

  private mutating func note(
    _ path: Int32, _ size: Int?, _ before: Int?, _ after: Int?, _ recording: Recording, _ profile: CrashProfile?,
    _ event: Int, _ point: CrashPoint, _ choice: [Alternative]
  ) {
    let name = recording.table.paths[Int(path)]
    if between[name] == nil {
      let example =
        switch size {
        case nil: "it is not there"
        case 0?: "it is empty"
        case let size?: "it has \(size) bytes"
        }
      let sizes =
        "before \(before.map { "\($0) bytes" } ?? "not there"), after \(after.map { "\($0) bytes" } ?? "not there")"
      var story = Array(recording.operationTexts(before: event).suffix(5))
      story.append(profile == nil ? "kill -9" : "power cut")
      if profile != nil {
        story += point.losses(choice, recording, limit: 2).map { $0.replacing("*", with: "") }
      }
      between[name] = Between(
        path: name, wasThere: before != nil, profile: profile, example: "\(example) (\(sizes))", story: story)
    }
    between[name]!.states += 1
  }
}
