import LogModel

extension LoadSetting: TunedSetting {
  public var isReference: Bool { policy == .always && commitWindow == 0 }
  public var wait: Int64 { commitWindow }

  /// Batch and producers are the user's program's.
  public func isAsked(_ requirements: Requirements) -> Bool {
    batch == requirements.batch && producers == requirements.producers
  }

  public static let reportKey = "tune"
  public static let command = "tornlog tune"
  public static let countsExposure = true
  public static let inquiry = "Run `tornlog run`, and report it"
  public static let endlessPromise = "A power cut may take everything that the kernel has not written back."

  public static func load(_ requirements: Requirements) -> String {
    let load = requirements.workload
    func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }
    return "\(shortCount(load.rate))/s of \(load.messageSize) B, \(counted(load.partitions, "partition")), "
      + "\(counted(requirements.producers, "producer")), batches of \(requirements.batch)"
  }

  /// Each batch and number of producers: what the policies carry.
  public static func comparison(of points: [TuningPoint]) -> [[String]] {
    var keys: [[Int]] = []
    for point in points where !keys.contains([point.setting.batch, point.setting.producers]) {
      keys.append([point.setting.batch, point.setting.producers])
    }
    return keys.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }.map { key in
      func capacity(_ policy: SyncPolicy) -> Double? {
        points.first {
          $0.setting.policy == policy && $0.setting.commitWindow == 0 && $0.setting.batch == key[0]
            && $0.setting.producers == key[1]
        }?.capacity
      }
      let (always, interval, never) = (capacity(.always), capacity(.interval(.milliseconds(100))), capacity(.never))
      func times(_ other: Double?) -> String {
        guard let always, let other, always > 0 else { return "-" }
        return fixed(other / always, 1)
      }
      return [
        "\(key[0])", "\(key[1])", always.map(shortCount) ?? "-", interval.map(shortCount) ?? "-", times(interval),
        never.map(shortCount) ?? "-", times(never),
      ]
    }
  }

  public static func claims(of result: TuningResult) -> [DocumentClaim] { DocumentClaim.all(of: result) }
}
