import Defects
import Foundation
import LogModel
import Synchronization
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

@Suite struct HangWatchTests {
  private final class Box: Sendable {
    let isOver = Atomic<Bool>(false)
    let hangs = Mutex<[Hang]>([])
  }

  @Test func whoeverKeepsTheProcessorIsTold() throws {
    let box = Box()
    let watch = HangWatch(limit: .milliseconds(200)) { hang in
      box.hangs.withLock { $0.append(hang) }
      box.isOver.store(true, ordering: .sequentiallyConsistent)
    }
    for n in 0..<1000 { _ = watch.during("quick \(n)") { n } }
    let spins = watch.during("the endless one") { () -> Int in
      var spins = 0
      while !box.isOver.load(ordering: .sequentiallyConsistent) { spins += 1 }
      return spins
    }
    #expect(spins > 0)
    let hang = try #require(box.hangs.withLock { $0.first })
    #expect(hang.work == "the endless one" && hang.check.name == .noHang && hang.check.verdict == .violated)
    #expect(hang.report == nil && hang.text.contains { $0.contains("the endless one") })
    #expect(try hang.json().contains("no-hang"))
  }

  @Test func whatComesBackInTimeIsNoHang() {
    let box = Box()
    let watch = HangWatch(limit: .milliseconds(400)) { hang in box.hangs.withLock { $0.append(hang) } }
    for n in 0..<20 { watch.during("patient \(n)") { Thread.sleep(forTimeInterval: 0.05) } }
    #expect(box.hangs.withLock { $0.isEmpty })
    _ = watch
  }

  /// What counts is the processor's time: on a machine that is busy with others nobody is accused of it.
  @Test func whoeverWaitsForTheProcessorIsNoHang() {
    let box = Box()
    let watch = HangWatch(limit: .milliseconds(200)) { hang in box.hangs.withLock { $0.append(hang) } }
    watch.during("one that nobody lets run") { Thread.sleep(forTimeInterval: 0.8) }
    #expect(box.hangs.withLock { $0.isEmpty })
    _ = watch
  }

  /// A life on a state: what is told is the state, with its token.
  @Test func theStateIsNamed() throws {
    let box = Box()
    var options = ExplorationOptions()
    options.workload.messages = 6
    options.watch = HangWatch(limit: .milliseconds(200)) { hang in
      box.hangs.withLock { $0.append(hang) }
      box.isOver.store(true, ordering: .sequentiallyConsistent)
    }
    let exploration = try Exploration(options)
    let point = StateExaminer(exploration, .raw512).point(at: 40)
    let scene = CrashScene(recording: exploration.recording, seed: 1, moment: 40, point: point, choice: point.nothing)
    exploration.watching(.raw512, { scene }) {
      while !box.isOver.load(ordering: .sequentiallyConsistent) {}
    }
    let hang = try #require(box.hangs.withLock { $0.first })
    let state = try #require(hang.finding?.state)
    #expect(state == scene.state(exploration, .raw512))
    #expect(hang.report?.verdict == .violated && hang.text.contains { $0.contains(CrashStateToken.encode(state)) })
  }
}
