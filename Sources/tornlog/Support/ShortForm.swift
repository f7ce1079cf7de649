import Foundation
import LogModel
import Reporting

/// What the last `run` in this checkout found, for `tornlog reproduce last`: the tokens of the trials that did not come
/// out as expected, in the order in which its report shows them, one a line.
final class LastFindings {
  private let path: String
  private var tokens: [String] = []

  init() {
    path = CheckoutCache.path("checkouts/\(CheckoutCache.name)/last-findings")
  }

  func take(_ result: TrialResult) {
    if !result.isExpected, let token = result.reproduce.split(separator: " ").last { tokens.append(String(token)) }
  }

  /// Writes what was taken over what an earlier run has left.
  func save() throws {
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try tokens.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// - Returns: nil where nothing was ever run here.
  func saved() throws -> [String]? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
  }
}

/// How `reproduce` and `shrink` are told what to run again: a token, or one of two short forms of it.
enum ShortForm: Equatable {
  case token(String)
  /// `last` or `last:N`: the Nth finding of the last run, from 1.
  case last(Int)
  /// `report.json#N`: the Nth trial of a JSON report, from 1, its key `number`.
  case inReport(path: String, Int)

  static let help =
    "a token: t2... of a trial, x2... of a crash state (t1..., x1... of older builds); or last, last:N, report.json#N"

  /// - Throws: the text of what is wrong with the number.
  init(_ word: String) throws(ShortFormError) {
    func number(_ text: Substring) throws(ShortFormError) -> Int {
      guard let n = Int(text), n > 0, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
        throw ShortFormError(text: "`\(word.prefix(80))`: a number from 1 is needed, as in last:1 or report.json#1")
      }
      return n
    }
    if word == "last" {
      self = .last(1)
    } else if word.hasPrefix("last:") {
      self = .last(try number(word.dropFirst(5)))
    } else if let hash = word.lastIndex(of: "#") {
      self = .inReport(path: String(word[..<hash]), try number(word[word.index(after: hash)...]))
    } else {
      self = .token(word)
    }
  }

  /// The token that is meant.
  func token() throws(ShortFormError) -> String {
    switch self {
    case .token(let token): return token
    case .last(let n):
      let saved: [String]?
      do { saved = try LastFindings().saved() } catch {
        throw ShortFormError(
          text: "what the last run found cannot be read: \(error.localizedDescription)", isEnvironment: true)
      }
      guard let saved else {
        throw ShortFormError(text: "nothing was run in this checkout yet; give a token, or report.json#N")
      }
      guard !saved.isEmpty else {
        throw ShortFormError(text: "in the last run every trial came out as expected; give a token")
      }
      guard n <= saved.count else {
        throw ShortFormError(text: "the last run has \(counted(saved.count)), no number \(n)")
      }
      return saved[n - 1]
    case .inReport(let path, let n): return try Self.token(of: n, in: path)
    }
  }

  private func counted(_ n: Int) -> String { n == 1 ? "one finding" : "\(n) findings" }

  private struct Report: Decodable {
    struct Trial: Decodable { var reproduce: String }
    var trials: [Trial]?
  }

  private static func token(of number: Int, in path: String) throws(ShortFormError) -> String {
    let bytes: Data
    do { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw ShortFormError(text: "the report \(path) cannot be read; write one with `tornlog run --report json=PATH`")
    }
    guard let report = try? JSONDecoder().decode(Report.self, from: bytes), let trials = report.trials else {
      throw ShortFormError(
        text: "\(path) is no JSON report of `tornlog run`; write one with `tornlog run --report json=PATH`")
    }
    guard number <= trials.count else {
      throw ShortFormError(text: "\(path) has \(trials.count) trials, no number \(number)")
    }
    return trials[number - 1].reproduce.split(separator: " ").last.map(String.init) ?? ""
  }
}

/// Why a short form names nothing.
struct ShortFormError: Error, Equatable {
  var text: String
  var isEnvironment = false

  /// The token that `word` means, or the end of the command.
  static func token(meantBy word: String) -> String {
    do throws(ShortFormError) { return try ShortForm(word).token() } catch {
      fail(error.text, error.isEnvironment ? ExitStatus.unavailable : ExitStatus.usage)
    }
  }
}
