import CProcess
import FaultWorkload
import Glibc
import LogModel
import Storage

// FaultWorker STORAGE DIRECTORY FIRST COUNT [look] [hold]: one life of the workload on real files, a line an answer.

let arguments = CommandLine.arguments
guard arguments.count >= 5, let choice = StorageChoice(rawValue: arguments[1]), let first = Int(arguments[3]),
  let count = Int(arguments[4])
else { exit(64) }
_ = tl_die_with_parent()
let loop = EventLoop()
/// Written at once: a SIGKILL takes no line that has been told.
@Sendable func tell(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  guard write(1, bytes, bytes.count) == bytes.count else { exit(74) }
}
do {
  let storage = try choice.openFiles(root: arguments[2], loop: loop)
  let course = FaultWorkload.Course(
    messages: first..<first + count, readbacks: arguments.contains("look"), holds: arguments.contains("hold"))
  _ = loop.run(limit: .seconds(60)) { await FaultWorkload.run(course, on: storage) { tell($0) } }
} catch {
  tell("refused open \(FaultWorkload.why(error))")
}
