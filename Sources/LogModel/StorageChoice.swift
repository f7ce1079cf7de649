/// Which storage a user asked for, by the names of scenarios and of the command line.
public enum StorageChoice: String, Hashable, Sendable, Codable, CaseIterable {
  /// io_uring where the kernel allows it, otherwise `posix` with a notice.
  case auto
  /// io_uring on files.
  case ring
  /// Plain system calls on files.
  case posix
  /// A model of a disk in virtual time.
  case memory
}
