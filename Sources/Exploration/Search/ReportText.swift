import Foundation

/// How the JSON reports of this module are written.
enum ReportText {
  /// Keys sorted, so that equal reports are equal texts.
  static func json(_ document: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
