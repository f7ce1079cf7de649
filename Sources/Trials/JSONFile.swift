import Foundation

/// Codable values in files, replaced whole or not at all.
enum JSONFile {
  static func write(_ value: some Encodable, to path: String) throws(TrialError) {
    do {
      try JSONEncoder().encode(value).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw .worker("cannot write \(path): \(error.localizedDescription)")
    }
  }

  /// Nil where there is no such file.
  static func read<Value: Decodable>(_ type: Value.Type, from path: String) throws(TrialError) -> Value? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    do {
      return try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw .worker("cannot read \(path): \(error)")
    }
  }
}
