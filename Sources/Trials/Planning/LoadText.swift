import LogModel
import Reporting
import ScenarioFormat

/// How lives follow each other, how the load goes on, and on what: in a token, in a scenario, in reports.
extension TrialSpec {
  /// How life `number`, from 0, ends. The last is always closed in order.
  func ending(of number: Int) -> CrashKind {
    switch number {
    case 0: crash
    case 1: secondCrash ?? crash
    default: .none
    }
  }

  /// For a story.
  var endings: String {
    func words(_ kind: CrashKind) -> String { kind == .none ? "closed in order" : kind.rawValue }
    return words(crash) + (secondCrash.map { ", then \(words($0))" } ?? "")
  }

  /// How often the machine has died before life `number`.
  func powerLosses(before number: Int) -> UInt32 { UInt32((0..<number).count { ending(of: $0).losesPower }) }

  var endsOutOfMemory: Bool { crash == .outOfMemory || secondCrash == .outOfMemory }
  var losesPower: Bool { (0...1).contains { ending(of: $0).losesPower } }

  /// Their fields of a token: `c2=power-loss.pa=5ms.ls=always.pr=8192.fo=2147483600`.
  static let loadFields = [
    TokenField(
      "c2", write: { $0.secondCrash?.rawValue },
      read: { text, spec in
        spec.secondCrash = CrashKind(rawValue: text)
        return spec.secondCrash != nil
      }),
    TokenField(
      "pa", write: { $0.pace == .zero ? nil : DurationText.render($0.pace) },
      read: { text, spec in
        guard let pace = Axis.duration(ofPace: text) else { return false }
        spec.pace = pace
        return true
      }),
    TokenField(
      "ls", write: { spec in spec.laterSync.flatMap { SyncPolicy($0) }.map(TokenField.text) },
      read: { text, spec in
        spec.laterSync = TokenField.syncPolicy(text)?.description
        return spec.laterSync != nil
      }),
    number("pr", \.preallocation, .preallocation, default: Axis.usualPreallocation),
    number("fo", \.firstOffset, .firstOffset, default: 0),
  ]

  /// A number that a scenario could hold on `axis`.
  private static func number(
    _ name: String, _ path: WritableKeyPath<TrialSpec, Int>, _ axis: Axis, default usual: Int
  ) -> TokenField {
    nonisolated(unsafe) let path = path
    return TokenField(
      name, write: { $0[keyPath: path] == usual ? nil : "\($0[keyPath: path])" },
      read: { text, spec in
        guard TokenText.isPlainNumber(text) else { return false }
        do throws(ScenarioProblem) {
          guard case .integer(let found) = try axis.parse(text, vocabulary: TrialPlanner.vocabulary) else { return false }
          spec[keyPath: path] = found
          return true
        } catch {
          return false
        }
      })
  }

  /// What decides the trial on these axes, where it is not the usual.
  var loadAxes: [(String, Axes.Value)] {
    var axes: [(String, Axes.Value)] = []
    if let secondCrash { axes.append((Axis.secondCrash.rawValue, .text(secondCrash.rawValue))) }
    if let laterSync { axes.append((Axis.laterSync.rawValue, .text(laterSync))) }
    if pace != .zero { axes.append((Axis.pace.rawValue, .text(Axis.text(pace: pace)))) }
    if preallocation != Axis.usualPreallocation { axes.append((Axis.preallocation.rawValue, .integer(preallocation))) }
    if firstOffset != 0 { axes.append((Axis.firstOffset.rawValue, .integer(firstOffset))) }
    return axes
  }

  /// Lines of a scenario's matrix.
  var loadLines: [String] { loadAxes.map { "  \($0.0): [\($0.1)]" } }

  /// What these axes cannot be together; nil where there is no such thing.
  var loadProblem: String? {
    LoadSettings(
      crash: crash, crashAtEnd: crashAt == .end, secondCrash: secondCrash, pace: pace, preallocation: preallocation,
      firstOffset: firstOffset, sync: syncPolicy, laterSync: laterSync.flatMap { SyncPolicy($0) }, system: system,
      checkpoint: checkpoint,
      isOfAnotherProgram: delivery != nil || client != nil
    ).problem.map { "\($0.axis.rawValue) is '\($0.value)'; expected \($0.expected)" }
  }
}
