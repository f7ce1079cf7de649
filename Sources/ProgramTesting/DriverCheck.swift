import Drivers
import Glibc
import ProgramOracle

/// One thing that the protocol asks of a driver, and whether it does so.
package struct DriverCheckStep: Sendable {
  package var name: String
  /// Nil where all is well; else what is wrong, and what to do.
  package var problem: String?
  /// Nothing wrong, and something that the author may want to know.
  package var advice: String?
}

/// Tests a driver against the protocol, on a plain folder: no volume, no faults.
package final class DriverCheck {
  private let command: DriverCommand
  private let config: String
  private let limit: UInt64
  private let folder: String
  private(set) package var steps: [DriverCheckStep] = []
  private var session: DriverSession?
  private var written: [String] = []

  /// - Parameter directory: a folder is made in it, and removed.
  package init(_ command: DriverCommand, config: String, limit: UInt64, directory: String) throws(ProgramTestError) {
    (self.command, self.config, self.limit) = (command, config, limit)
    var template = Array((directory + "/tornlog-driver-XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else {
      throw .machine("\(directory): \(String(cString: strerror(errno))); name another folder with --dir")
    }
    folder = String(cString: made)
    // A server that runs as another user must get there, as it gets into a volume.
    chmod(folder, 0o755)
  }

  /// A folder that everybody may write to, whatever the umask.
  private func makeOpenFolder(_ name: String) {
    mkdir(folder + "/" + name, 0o777)
    chmod(folder + "/" + name, 0o777)
  }

  deinit { removeTree(folder) }

  package var isConformant: Bool { steps.allSatisfy { $0.problem == nil } }

  private func add(_ name: String, _ problem: String? = nil, advice: String? = nil) {
    steps.append(DriverCheckStep(name: name, problem: problem, advice: advice))
  }

  package func run() {
    guard hello(), open(create: true) else { return end() }
    unknownRequest()
    write()
    guard readBack("what was written can be read") else { return end() }
    if session!.can("flush") { expect("flush is answered", .flush) }
    if session!.can("check") { expect("check is answered", .check) }
    guard expect("close is answered", .close) else { return end() }
    manyOpens()
    guard restart("starts again after a close"), open(create: false) else { return end() }
    _ = readBack("what was written is there after a restart")
    crash()
    inputEnd()
    end()
  }

  private func end() {
    session?.process.end()
    session = nil
  }

  private func hello() -> Bool {
    do throws(DriverError) { session = try DriverSession(command, limit: limit) } catch {
      add("hello", "\(error)")
      return false
    }
    let hello = session!.hello
    add("hello: \(hello.name) \(hello.version), offers \(hello.operations.sorted().joined(separator: ", "))")
    do throws(ProgramTestError) {
      let model = try ProgramModel.chosen(nil, offered: hello.operations)
      add(
        "the operations make a model: \(model.rawValue)",
        advice: hello.reopens || hello.forks
          ? nil : "it says neither \"reopens\" nor \"forks\": each crash state costs a new process, which is slow")
    } catch { add("the operations make a model", "\(error)") }
    if hello.version.isEmpty {
      add("hello has a version", "say \"version\": a token names it, to tell what it was found with")
    }
    return true
  }

  private func restart(_ name: String) -> Bool {
    end()
    do throws(DriverError) { session = try DriverSession(command, limit: limit) } catch {
      add(name, "\(error)")
      return false
    }
    add(name)
    return true
  }

  private func open(create: Bool) -> Bool {
    expect(
      "open \(create ? "creates" : "opens again")", .open(folder: folder + "/data", create: create, config: config)
    ) {
      if create { makeOpenFolder("data") }
    }
  }

  @discardableResult private func expect(_ name: String, _ request: DriverRequest, before: () -> Void = {}) -> Bool {
    before()
    switch session!.ask(request) {
    case .done:
      add(name)
      return true
    case .failed(_, let error): add(name, "'\(request.name)' fails: \(error)")
    case .died(let how): add(name, how + Self.quoted(session!.process.lastWords()))
    case .silent:
      add(name, "no reply within \(Double(limit) / 1e9) s; flush standard output after each reply")
    case .garbled(let complaint): add(name, complaint)
    }
    return false
  }

  private static func quoted(_ log: [String]) -> String {
    log.isEmpty ? "" : "; its last words: \(log.suffix(3).joined(separator: " / "))"
  }

  /// A driver answers what it does not know, and lives on.
  private func unknownRequest() {
    session!.process.send("{\"id\":1000000,\"op\":\"no-such-operation\"}\n")
    let deadline = DriverProcess.now + limit
    let name = "an unknown operation is answered with \"ok\":false"
    guard case .line(let line) = session!.process.next(until: deadline) else {
      return add(name, "there is no reply; answer {\"id\":…,\"ok\":false,\"outcome\":\"driver\",\"error\":\"…\"}")
    }
    do throws(DriverLineError) {
      let reply = try DriverReply(line: line)
      add(
        name,
        reply.id == 1_000_000 && reply.ok == false
          ? nil : "the reply is '\(String(decoding: line.prefix(120), as: UTF8.self))'")
    } catch { add(name, "\(error)") }
  }

  private var log: String { "a" }

  private func write() {
    guard let session else { return }
    let values = ["plain", "with \"quotes\" and \\ backslash", String(repeating: "x", count: 5000)]
    if session.can("append") {
      for value in values where expect("append of \(value.utf8.count) bytes", .append(log: log, value: value)) {
        written.append(value)
      }
    } else {
      for (number, value) in values.enumerated() {
        let key = "k\(number)"
        let request: DriverRequest =
          session.can("put") ? .put(key: key, value: value) : .transaction([.put(key: key, value: value)])
        if expect("\(request.name) of \(value.utf8.count) bytes", request) { written.append(value) }
      }
      if session.can("txn") {
        expect("txn of a put and a delete", .transaction([.put(key: "t", value: "one"), .delete(key: "none")]))
      }
      if session.can("delete") { expect("delete of a key that is not there", .delete(key: "nobody")) }
    }
  }

  private func readBack(_ name: String) -> Bool {
    guard let session else { return false }
    var workload = ProgramWorkload(.log, requests: 1, seed: 1, can: [])
    if session.can("append") {
      if !session.can("scan") {
        add(name, advice: "a queue without 'scan' is read by taking until it is empty")
        return true
      }
      (workload.model, workload.logs) = (.log, [log])
    } else {
      (workload.model, workload.keys) = (.map, ["k0", "k1", "k2"])
    }
    var reading = StateReading()
    reading.read(session, workload)
    if let failure = reading.failure {
      add(name, "reading fails: \(failure)")
      return false
    }
    let found =
      session.can("append")
      ? (reading.logs[log] ?? []).map(\.value) : ["k0", "k1", "k2"].compactMap { reading.map[$0] }
    let isSame = found == written
    add(
      name,
      isSame
        ? nil
        : "\(written.count) values were written, and \(found.count) come back"
          + (found.count == written.count ? ", others or in another order" : "")
    )
    return isSame
  }

  /// `reopens` and `forks` are promises of their own.
  private func manyOpens() {
    guard let session, session.hello.reopens || session.hello.forks else { return }
    let name =
      session.hello.forks ? "forks: two folders, one after the other" : "reopens: two folders, one after the other"
    for _ in 0..<2 {
      let answer = session.ask(.open(folder: folder + "/data", create: false, config: config))
      guard case .done = answer, case .done = session.ask(.close) else {
        return add(name, "the second 'open' in one process fails; leave \"reopens\" and \"forks\" out")
      }
    }
    makeOpenFolder("other")
    guard case .done = session.ask(.open(folder: folder + "/other", create: true, config: config)),
      case .done = session.ask(.close)
    else { return add(name, "'open' of another folder fails; leave \"reopens\" and \"forks\" out") }
    add(name)
  }

  /// After a kill it opens again. On a plain folder nothing is lost then, unless the program keeps it in memory.
  private func crash() {
    session?.process.kill()
    session?.process.end()
    guard restart("starts again after kill -9") else { return }
    _ = open(create: false)
    _ = expect("close after that", .close)
  }

  private func inputEnd() {
    guard let session else { return }
    session.process.endInput()
    let ended = session.process.waitForEnd(until: DriverProcess.now + max(limit, 5_000_000_000))
    add(
      "ends when standard input ends",
      ended == nil ? "it goes on; end when a read of standard input gives nothing" : nil)
  }
}

/// Removes a folder with all that is in it; symbolic links are not followed.
private func removeTree(_ path: String) {
  if let listing = opendir(path) {
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name == "." || name == ".." { continue }
      let inner = path + "/" + name
      var status = stat()
      if lstat(inner, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { removeTree(inner) } else { unlink(inner) }
    }
    closedir(listing)
  }
  rmdir(path)
}
