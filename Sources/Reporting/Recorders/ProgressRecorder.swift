/// How far a run has come, for standard error: `[12 of 155, 8 %] 3.2 s, about 40 s left: ten-vs-hundred messages=10`.
public final class ProgressRecorder: RunRecorder {
  /// Seconds between two redraws in place.
  static let redrawInterval = 0.1
  /// Seconds between two lines where nothing can be redrawn.
  static let lineInterval = 5.0
  /// Goes to the beginning of the line and clears it.
  private static let clearing = "\r\u{1B}[K"
  /// What it writes to steer a terminal, and nothing else does.
  public static let sequences = [clearing]

  private let sink: any ReportSink
  private let inPlace: Bool
  private let clearsForEveryTrial: Bool
  private let width: Int
  private let now: () -> Double
  private var total = 0
  private var finished = 0
  private var running: [(index: Int, title: String)] = []
  private var start = 0.0
  private var last: Double?
  private var isDrawn = false

  /// - Parameters:
  ///   - inPlace: rewrite one line; only for a terminal. Otherwise a line every few seconds.
  ///   - clearsForEveryTrial: the results share the terminal and print a line for each trial (`-v`).
  ///   - width: columns of the terminal.
  ///   - now: seconds on a clock that never goes back.
  public init(
    _ sink: any ReportSink, inPlace: Bool, clearsForEveryTrial: Bool = false, width: Int = 100,
    now: @escaping () -> Double
  ) {
    self.sink = sink
    self.inPlace = inPlace
    self.clearsForEveryTrial = clearsForEveryTrial
    self.width = max(20, width)
    self.now = now
  }

  /// Must come before the recorder that prints to the same terminal: it wipes its line before results are printed.
  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description):
      (total, finished, start) = (description.trials, 0, now())
      last = inPlace ? nil : start
    case .trialStarted(let index, let title):
      running.append((index, title))
      try draw()
    case .trialFinished(let index, let result):
      finished += 1
      running.removeAll { $0.index == index }
      if clearsForEveryTrial || !result.isExpected { try clear() } else { try draw() }
    case .notice: try clear()
    case .document: break
    case .finished: try clear()
    }
  }

  private func draw() throws(ReportError) {
    let time = now()
    if let last, time - last < (inPlace ? Self.redrawInterval : Self.lineInterval) { return }
    last = time
    let line = line(at: time)
    try sink.write(inPlace ? "\(Self.clearing)\(line.prefix(width - 1))" : line + "\n")
    isDrawn = inPlace
  }

  private func clear() throws(ReportError) {
    guard isDrawn else { return }
    try sink.write(Self.clearing)
    isDrawn = false
    last = nil
  }

  private func line(at time: Double) -> String {
    let elapsed = time - start
    let percent = total > 0 ? finished * 100 / total : 0
    var text = "[\(finished) of \(total), \(percent) %] \(durationText(elapsed))"
    if finished > 0, finished < total {
      text += ", about \(durationText(elapsed / Double(finished) * Double(total - finished))) left"
    }
    if let oldest = running.first { text += ": \(oldest.title.printable)" }
    return text
  }
}
