import Defects
import Drivers
import Foundation
import Glibc
import LogModel
import PartitionEngine
import Storage

/// The partition engine as a program under test: a driver of the protocol in docs/driver-protocol.md, model `log`.
///
/// Nothing stays in the process once a log is closed, so that one process opens one crash state after the other.
public final class EngineDriver: @unchecked Sendable {
  // Owned by `loop`.

  private let loop = EventLoop()
  private let settings: EngineSettings
  private let version: String
  private var session: EngineSession?

  /// - Parameters:
  ///   - settings: what holds where `config` says nothing else.
  ///   - version: of this program, for reports.
  public init(_ settings: EngineSettings, version: String) {
    (self.settings, self.version) = (settings, version)
  }

  /// Answers the requests of standard input on standard output, until the first ends.
  public func run() {
    let (lines, input) = AsyncStream.makeStream(of: String.self)
    Thread.detachNewThread {
      while let line = readLine() { input.yield(line) }
      input.finish()
    }
    // A loop without anything to wait for ends. Syncs of the policy `interval` go on between two requests.
    loop.spawn { [loop] in while true { await loop.sleep(until: loop.now + .seconds(3600)) } }
    _ = loop.run { [self] in for await line in lines { Self.write(await reply(to: line)) } }
  }

  private static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(STDOUT_FILENO, bytes.baseAddress! + done, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        // Whoever asked has gone.
        if count <= 0 { exit(0) }
        done += count
      }
    }
  }

  /// - Returns: lines, with their ends.
  private func reply(to line: String) async -> String {
    guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)), let request = object as? [String: Any],
      let id = request["id"] as? Int
    else { return "{\"progress\":\"no request: \(line.utf8.count) bytes that are no JSON object with an id\"}\n" }
    do throws(Refusal) {
      let answer = try await answer(request)
      let items = answer.items.map { "{\"id\":\(id),\"items\":[\($0)]}\n" } ?? ""
      return items + "{\"id\":\(id),\"ok\":true\(answer.members)}\n"
    } catch {
      return "{\"id\":\(id),\"ok\":false,\"outcome\":\"\(error.outcome)\",\"error\":\(error.text.jsonText)}\n"
    }
  }

  private struct Answer {
    /// What follows `"ok":true`.
    var members = ""
    /// Of a scan.
    var items: String?
  }

  private struct Refusal: Error {
    var outcome: String
    var text: String

    init(_ error: EngineError) {
      (outcome, text) = (error.isCertainFailure ? "failed" : "unknown", "\(error)")
    }

    init(_ error: EngineDriverError) { (outcome, text) = ("driver", "\(error)") }
  }

  private func answer(_ request: [String: Any]) async throws(Refusal) -> Answer {
    func text(_ member: String) throws(Refusal) -> String {
      guard let text = request[member] as? String else { throw Refusal(EngineDriverError.missing(member)) }
      return text
    }
    func opened() throws(Refusal) -> EngineSession {
      guard let session else { throw Refusal(EngineDriverError.notOpen) }
      return session
    }
    let name = try text("op")
    switch name {
    case "hello": return hello
    case "open": try await open(text("dir"), request["config"] as? [String: Any] ?? [:])
    case "append":
      let (session, value, log) = (try opened(), try text("value"), try text("log"))
      do throws(EngineError) {
        return Answer(members: ",\"position\":\(try await session.append(value, to: log))")
      } catch { throw Refusal(error) }
    case "scan":
      let (session, log) = (try opened(), try text("log"))
      do throws(EngineError) {
        let items = try await session.scan(log)
        return Answer(items: items.map { "[\($0.offset),\($0.value.jsonText)]" }.joined(separator: ","))
      } catch { throw Refusal(error) }
    case "close":
      let session = try opened()
      self.session = nil
      do throws(EngineError) { try await session.close() } catch { throw Refusal(error) }
    default: throw Refusal(EngineDriverError.unknownOperation(name))
    }
    return Answer()
  }

  private var hello: Answer {
    let name = "tornlog engine" + (settings.defect.map { " with \($0.id)" } ?? "")
    return Answer(
      members:
        ",\"name\":\(name.jsonText),\"version\":\(version.jsonText),\"ops\":[\"append\",\"scan\"],\"reopens\":true")
  }

  private func open(_ folder: String, _ config: [String: Any]) async throws(Refusal) {
    guard session == nil else { throw Refusal(EngineDriverError.alreadyOpen) }
    var settings = settings
    do throws(EngineDriverError) { try settings.take(config) } catch { throw Refusal(error) }
    do throws(EngineError) { session = try await EngineSession(folder, settings, loop) } catch { throw Refusal(error) }
  }
}
