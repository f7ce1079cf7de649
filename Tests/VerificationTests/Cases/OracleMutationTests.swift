import Foundation
import LogModel
import Testing
import Verification

/// A test of the oracle by its own faults: each place that says something is silenced in turn, each excuse taken away
/// and given to everybody. A case must come out wrong: what nothing notices is dead, or untested.
@Suite struct OracleMutationTests {
  /// Places of the oracle that say something, `Verification/FILE:LINE`, with their text.
  static func places() throws -> [(place: String, text: String)] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
      path: "../../../Sources/Verification"
    ).standardized
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }
      .sorted()
    return try files.flatMap { file in
      try String(contentsOf: folder.appending(path: file), encoding: .utf8).split(
        separator: "\n", omittingEmptySubsequences: false
      )
      .enumerated().compactMap { number, line -> (place: String, text: String)? in
        let says = ["violate(", "lose(", ".doubt(", " doubt(", ".found("].contains { line.contains($0) }
        guard says, !line.contains("func "), !line.contains("file: file"), !line.trimmingPrefix(" ").hasPrefix("//")
        else { return nil }
        return ("Verification/\(file.split(separator: "/").last ?? ""):\(number + 1)", String(line.trimmingPrefix(" ")))
      }
    }
  }

  /// The names of cases that come out wrong under `mutation`.
  static func noticing(_ mutation: OracleMutation) -> [String] {
    OracleCases.all.filter { one in
      let judgement = OracleMutation.$current.withValue(mutation) { one.judge() }
      return !one.isMet(by: judgement)
    }.map(\.name)
  }

  @Test func everyPlaceAndEveryExcuseIsNoticed() throws {
    let places = try Self.places()
    #expect(places.count > 60)
    var rows: [(name: String, noticing: [String])] = []
    for place in places {
      rows.append(("silent \(place.place) \(place.text.prefix(70))", Self.noticing(.silent(place.place))))
    }
    for excuse in OracleExcuse.allCases {
      rows.append(("never \(excuse.rawValue)", Self.noticing(.never(excuse))))
      rows.append(("always \(excuse.rawValue)", Self.noticing(.always(excuse))))
    }
    for row in rows {
      print("\(row.name): \(row.noticing.isEmpty ? "NOTHING" : "\(row.noticing.count), \(row.noticing[0])")")
      #expect(!row.noticing.isEmpty, "\(row.name): no case comes out wrong")
    }
    print(
      "\(rows.count) mutations of the oracle, \(rows.count { !$0.noticing.isEmpty }) noticed by "
        + "\(OracleCases.all.count) cases"
    )
  }
}
