import Glibc

/// Why there is no disk to experiment with.
public enum LoopDiskError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Mounting is root's (CAP_SYS_ADMIN).
  case notPermitted
  /// A program that makes file systems is missing; the package is Debian's.
  case missingTool(String, package: String)
  case toolFailed(String, output: String)
  /// A system call and its errno.
  case refused(_ what: String, _ path: String, errno: Int32)
  case unknownFileSystem(String)

  /// Whether a file system could not be mounted: its device was there.
  public var isOfMount: Bool {
    if case .refused("mount", _, _) = self { true } else { false }
  }

  /// Whether a limit of the machine was met: memory, descriptors, processes. It says nothing of the disk.
  public var isShortage: Bool {
    if case .refused(_, _, let code) = self { [ENOMEM, EMFILE, ENFILE, EAGAIN].contains(code) } else { false }
  }

  public var description: String {
    switch self {
    case .notPermitted:
      "mounting needs root (CAP_SYS_ADMIN): run it with sudo, in a container with --privileged"
    case .missingTool(let tool, let package): "\(tool) is not installed: apt-get install \(package)"
    case .toolFailed(let tool, let output): "\(tool) failed: \(output)"
    case .refused(let what, let path, let code):
      "\(what) \(path): \(String(cString: strerror(code)))\(Self.remedy(what, code))"
    case .unknownFileSystem(let name):
      "there is no file system `\(name)`; one of \(LoopFileSystem.allCases.map(\.rawValue).joined(separator: ", ")), "
        + "all"
    }
  }

  private static func remedy(_ what: String, _ code: Int32) -> String {
    switch (what, code) {
    case (_, ENODEV): "; this kernel does not know the file system, or its module is not loaded"
    case ("attach", ENOENT): "; is the kernel's module `loop` loaded?"
    case (_, ENOSPC), (_, ENOMEM): "; images are kept in memory, some 200 MB for each file system"
    default: ""
    }
  }
}
