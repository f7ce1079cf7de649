import Glibc
import Storage

/// One thing that the doctor looked at.
public struct Finding: Hashable, Sendable, Codable {
  public enum Status: String, Hashable, Sendable, Codable {
    case ok
    /// Tornlog runs, but slower, with less, or with figures that mean less.
    case warning
    /// Tornlog cannot run here.
    case failure
  }

  /// `kernel`, `io_uring`, `free space` ...
  public var check: String
  public var status: Status
  /// What was found, in one line.
  public var detail: String
  /// What to do about it; nil where nothing need be done.
  public var remedy: String?

  public init(_ check: String, _ status: Status, _ detail: String, remedy: String? = nil) {
    self.check = check
    self.status = status
    self.detail = detail
    self.remedy = remedy
  }
}

/// Says whether this machine and a directory can carry trials and figures, and what to do where they cannot.
public enum Doctor {
  /// Looks at the machine, then at `directory`, where it creates and removes one small file. What a check needs of
  /// an earlier one (a directory that can be written) it skips when that failed.
  public static func examine(directory: String) -> [Finding] {
    let place = examineDirectory(directory)
    return machine() + place.findings + (place.isUsable ? disk(directory) : []) + [leftovers(in: directory)]
  }

  /// As COMMANDS has it: 69 where tornlog cannot run here, otherwise 0.
  public static func exitCode(_ findings: [Finding]) -> Int32 {
    findings.contains { $0.status == .failure } ? 69 : 0
  }
}
