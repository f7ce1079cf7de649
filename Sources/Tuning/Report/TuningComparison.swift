import LogModel

/// A result beside an earlier one: another disk, or another day.
struct TuningComparison {
  var title: String
  let head = ["setting", "carries/s", "was", "x", "p99", "was", "x", "lost", "was", "x"]
  var rows: [[String]]

  init<Setting>(of new: TunedResult<Setting>, with old: TunedResult<Setting>) {
    let isAlike = new.requirements.workload == old.requirements.workload
    title = "Beside the earlier report, of \(old.place): \(old.question)"
    // Under another load another latency is to be expected.
    func times(_ new: Double, _ old: Double) -> String { isAlike && old > 0 ? fixed(new / old, 2) : "-" }
    rows = new.askedRows.compactMap { index in
      let point = new.points[index]
      guard let before = old.points.first(where: { $0.setting == point.setting }) else { return nil }
      let (p99, oldP99) = (point.atRate.latency.p99, before.atRate.latency.p99)
      let (lost, oldLost) = (point.shownTime, before.shownTime)
      return [
        point.setting.name, shortCount(point.capacity), shortCount(before.capacity),
        times(point.capacity, before.capacity), shortTime(p99), shortTime(oldP99), times(Double(p99), Double(oldP99)),
        lost.map(shortTime) ?? "all", oldLost.map(shortTime) ?? "all",
        times(Double(lost ?? 0), Double(oldLost ?? 0)),
      ]
    }
    if let flush = new.disk?.flush, let before = old.disk?.flush {
      rows.append([
        "a flush, median", "", "", "", shortTime(flush.p50), shortTime(before.p50),
        times(Double(flush.p50), Double(before.p50)), "", "", "",
      ])
    }
  }
}
