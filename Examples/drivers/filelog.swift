// The log of file-log.py in Swift, behind the driver protocol, version 1 (docs/driver-protocol.md). Model: log.
// Build: swiftc -O filelog.swift. To test a log of your own, replace `Log`.
import Foundation

struct Failure: Error { let text: String }

/// The result of a call of the C library, or its error.
@discardableResult func check<Number: SignedInteger>(_ result: Number) throws -> Number {
  if result < 0 { throw Failure(text: String(cString: strerror(errno))) }
  return result
}

final class Log {
  private let file: Int32
  private(set) var records: [[Substring]] = []  // position, name, value; in the file with a checksum before them

  init(folder: String) throws {
    file = try check(open(folder + "/log", O_RDWR | O_CREAT | O_APPEND, 0o644))
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/log"))
    var end = 0
    for line in String(decoding: data, as: UTF8.self).components(separatedBy: "\n").dropLast() {
      let record = line.dropFirst(9).split(separator: " ", maxSplits: 2)
      // The position is part of what is checked: an old line that comes back is no record.
      guard Log.line(line.dropFirst(9)) == line + "\n", record.first == "\(records.count)" else { break }
      records.append(record)
      end += line.utf8.count + 1
    }
    if end < data.count { try check(ftruncate(file, end)) }  // A torn line was never acknowledged.
    try check(fsync(file))  // What was read must not be lost later, nor the cut come back.
    let parent = try check(open(folder, O_RDONLY))
    defer { close(parent) }
    try check(fsync(parent))  // The name of a new file is durable only when its folder is.
  }

  deinit { close(file) }
  func append(_ name: String, _ value: String) throws -> Int {
    let line = Log.line("\(records.count) \(name) \(value)")
    guard try check(write(file, line, line.utf8.count)) == line.utf8.count else { throw Failure(text: "short write") }
    try check(fsync(file))
    records.append(["\(records.count)", Substring(name), Substring(value)])
    return records.count - 1
  }

  /// A record as it stands in the file, with its CRC-32.
  static func line(_ record: some StringProtocol) -> String {
    let crc = record.utf8.reduce(~UInt32(0)) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1) &* 0xEDB8_8320 }
    }
    return String(format: "%08x ", ~crc) + record + "\n"
  }
}

func reply(_ members: [String: Any]) throws {
  try FileHandle.standardOutput.write(contentsOf: JSONSerialization.data(withJSONObject: members) + [10])
}

var log: Log?
func opened() throws -> Log { try log ?? { throw Failure(text: "the log is not open") }() }
while let line = readLine() {
  let request = try JSONSerialization.jsonObject(with: Data(line.utf8)) as! [String: Any]
  let name = request["log"] as? String ?? ""
  var answer = ["id": request["id"]!, "ok": true]
  do {
    switch request["op"] as? String {
    case "hello":
      answer.merge(["name": "filelog-swift", "version": "1", "ops": ["append", "scan"], "reopens": true]) { $1 }
    case "open": log = try Log(folder: request["dir"] as? String ?? "")
    case "append": answer["position"] = try opened().append(name, request["value"] as? String ?? "")
    case "scan":
      let records = try opened().records.filter { $0[1] == name }
      try reply(["id": request["id"]!, "items": records.map { [Int($0[0])!, String($0[2])] as [Any] }])
    case "close": log = nil
    default: answer.merge(["ok": false, "outcome": "driver", "error": "no such operation"]) { $1 }
    }
  } catch {
    log = nil  // After a failed write or sync nobody knows what is on the disk: the log must be opened again.
    answer.merge(["ok": false, "error": "\(error)"]) { $1 }
  }
  try reply(answer)
}
