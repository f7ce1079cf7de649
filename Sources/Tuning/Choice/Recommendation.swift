import LogModel

/// Which setting to use, and why.
///
/// The rule: of the settings that carry the rate with room to spare, are fast enough and lose no more than is allowed,
/// the one that promises to lose least and keeps its promise. Nothing is gained by losing more than one must.
public struct Recommendation: Hashable, Sendable, Codable {
  /// Indices into the points; nil where none will do.
  public var chosen: Int?
  /// The next one that may lose more, and carries more.
  public var cheaper: Int?
  /// The setting that the others are compared with: `always`, without a commit window.
  public var always: Int?
  /// Where none will do: what each lacks, of those that lack least.
  public var obstacles: [String]

  /// No recommendation: the run was interrupted.
  init() { obstacles = [] }

  /// - Parameter points: with the producers and the batch of the requirements; others are left aside.
  public init<Setting>(_ points: [TunedPoint<Setting>], _ requirements: Requirements) {
    let asked = points.indices.filter { points[$0].setting.isAsked(requirements) }
    /// Least loss first; of those that promise the same, the one that waits least.
    let ordered = asked.sorted { a, b in
      let (p, q) = (points[a], points[b])
      let (x, y) = (p.promise, q.promise)
      if x != y { return x < y }
      if p.setting.wait != q.setting.wait { return p.setting.wait < q.setting.wait }
      return p.atRate.latency.p99 < q.atRate.latency.p99
    }
    always = ordered.first { points[$0].setting.isReference }
    obstacles = []
    guard let best = ordered.first(where: { points[$0].meets(requirements) }) else {
      obstacles = Self.obstacles(ordered.map { points[$0] }, requirements)
      return
    }
    chosen = best
    let weaker = ordered.filter {
      points[$0].promise > points[best].promise && points[$0].capacity > points[best].capacity
        && points[$0].keepsPromise
    }
    cheaper = weaker.first { points[$0].meets(requirements) } ?? weaker.first
  }

  private static func obstacles<Setting>(_ points: [TunedPoint<Setting>], _ requirements: Requirements) -> [String] {
    let lacks = points.map { point in (point, point.lacks(requirements)) }
    guard let fewest = lacks.map(\.1.count).min() else { return [] }
    let always = lacks.first { $0.0.setting.isReference }
    let others = lacks.filter { $0.1.count == fewest && !$0.0.setting.isReference && $0.0.setting.wait == 0 }
    return ((always.map { [$0] } ?? []) + others.prefix(3)).map {
      "\($0.0.setting.name): \($0.1.joined(separator: "; "))"
    }
  }

  /// Indices of the points, with the producers and the batch of the requirements, that no other one beats: none is as
  /// safe, as fast and as strong, and better in one of these. (Pareto's front.)
  public static func front<Setting>(_ points: [TunedPoint<Setting>], _ requirements: Requirements) -> [Int] {
    let asked = points.indices.filter { points[$0].setting.isAsked(requirements) }
    return asked.filter { i in !asked.contains { j in j != i && points[j].dominates(points[i]) } }
  }
}

extension TunedPoint {
  /// In nanoseconds, for comparisons: no limit is more than any.
  fileprivate var promise: Int64 { setting.promisedLoss?.nanoseconds ?? .max }

  fileprivate func dominates(_ other: Self) -> Bool {
    let (loss, otherLoss) = (worstTime ?? .max, other.worstTime ?? .max)
    let isNowhereWorse =
      loss <= otherLoss && promise <= other.promise && atRate.latency.p99 <= other.atRate.latency.p99
      && capacity >= other.capacity
    return isNowhereWorse
      && (loss < otherLoss || atRate.latency.p99 < other.atRate.latency.p99 || capacity > other.capacity)
  }

  /// What keeps it from being recommended, in words.
  func lacks(_ requirements: Requirements) -> [String] {
    if atRate.latency.messages == 0 { return ["no message was sent at this rate"] }
    var lacks: [String] = []
    let rate = requirements.workload.rate
    if capacity < rate {
      lacks.append("it carries \(shortCount(capacity))/s")
    } else if !carries(requirements) {
      lacks.append("it carries \(shortCount(capacity))/s at most, which leaves no room")
    }
    if !isFastEnough(requirements) { lacks.append("its p99 is \(shortTime(atRate.latency.p99))") }
    if setting.promisedLoss != nil, loss == nil {
      lacks.append("no power cut was made")
    } else if !isSafeEnough(requirements) {
      lacks.append(lossInWords(requirements))
    } else if !keepsPromise {
      lacks.append("up to \(shortTime(worstTime ?? 0)) were \(Self.lostWord), more than it promises")
    }
    if let broken, !broken.isEmpty { lacks.append("it breaks a promise") }
    return lacks
  }

  private static var lostWord: String { Setting.countsExposure ? "exposed" : "lost" }

  private func lossInWords(_ requirements: Requirements) -> String {
    guard let promise = setting.promisedLoss, let worst = worstTime, let messages = worstMessages else {
      return "it promises nothing"
    }
    switch requirements.loss {
    case .nothing:
      return promise == .zero ? "it lost \(messages) messages" : "it may lose \(DurationText.render(promise))"
    case .time(let limit):
      return promise > limit
        ? "it may lose \(DurationText.render(promise))" : "up to \(shortTime(worst)) were \(Self.lostWord)"
    case .messages(let limit):
      let promised = Int64(promise.inSeconds * requirements.workload.rate)
      return promised > Int64(limit)
        ? "it may lose \(promised) messages" : "up to \(messages) messages were \(Self.lostWord)"
    }
  }
}
