import LogModel
import ProgramTesting
import Tuning

/// What the rounds of one configuration came to together.
struct LoadSums {
  private(set) var rounds: [ProgramTuningPoint.Round] = []
  private var latencies: [Int64] = []
  private var count = 0
  private var seconds = 0.0
  private var unsent = 0

  var hasSample: Bool { !rounds.isEmpty }

  /// Requests a second with requests that never pause.
  var capacity: Double { rounds.reduce(0) { $0 + $1.capacity } / Double(max(1, rounds.count)) }

  mutating func add(capacity: ProgramLoadSample, _ atRate: ProgramLoadSample) {
    rounds.append(
      ProgramTuningPoint.Round(
        capacity: Double(capacity.count) / capacity.seconds, p99: LatencyFigures(atRate.latencies).p99))
    latencies += atRate.latencies
    count += atRate.count
    seconds += atRate.seconds
    unsent += atRate.unsent
  }

  /// - Parameter loss: has what was exposed on the volume.
  func figures(exposed loss: ProgramLoss?) -> LoadFigures {
    let exposures = loss?.exposures ?? []
    return LoadFigures(
      rate: seconds > 0 ? Double(count) / seconds : 0, latency: LatencyFigures(latencies), unsent: unsent,
      exposedTime: Spread(exposures.map(\.nanoseconds), longest: loss?.longestExposure ?? 0),
      exposedMessages: Spread(exposures.map { Int64($0.requests) }, longest: Int64(loss?.mostExposed ?? 0)))
  }
}

extension LossFigures {
  /// - Parameter promise: what may be lost; nil for no limit.
  init(_ loss: ProgramLoss, promise: Duration?) {
    let times = loss.cuts.map(\.nanoseconds)
    // A request that is acknowledged just after a sync was submitted waits for that sync and for the next one.
    let explained = promise.map { $0 == .zero ? 0 : $0.nanoseconds + loss.flush * 2 + loss.delay * 2 }
    self.init(
      cuts: loss.cuts.count, messages: Spread(loss.cuts.map { Int64($0.requests) }), time: Spread(times),
      exposedMessages: Spread(loss.cuts.map { Int64($0.exposedRequests) }),
      exposedTime: Spread(loss.cuts.map(\.exposedNanoseconds)), widestGap: 0,
      beyond: explained.map { limit in times.map { max(0, $0 - limit) }.max() ?? 0 } ?? 0)
  }
}

extension ProgramTuningResult {
  /// What a figure does not say.
  mutating func addNotes(of loss: ProgramLoss?, _ setting: ProgramSetting) {
    guard let loss else { return }
    let unreadable = loss.cuts.count { !$0.isReadable }
    if unreadable > 0 {
      addNote(
        "\(setting.name) could not be read after \(unreadable) of \(loss.cuts.count) power cuts, and everything counts "
          + "as lost there: \(loss.refusal ?? "")")
    }
    for (reason, times) in loss.unknowns.sorted(by: { $0.key < $1.key }).prefix(2) {
      addNote("\(setting.name), \(times) times without a judgement: \(reason)")
    }
  }
}
