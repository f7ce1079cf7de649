import Foundation
import Glibc
import LogModel

/// The engine's files while no engine runs.
struct FilesAtRest: RestingDamage.Medium {
  let folder: String
  let topic: String

  func files(of partition: PartitionID) throws(TrialError) -> [String] {
    let directory = "topics/\(topic)/\(partition)"
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder + "/" + directory)
        .filter { $0.hasSuffix(".log") }.sorted().map { "\(directory)/\($0)" }
    } catch {
      throw .faultMissed("cannot read \(directory): \(error.localizedDescription)")
    }
  }

  /// The file is mapped, not loaded: memory does not grow with it.
  func read<Value>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Value) throws(TrialError) -> Value {
    let descriptor = Glibc.open(folder + "/" + path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("read the size of", path, errno) }
    let size = Int(status.st_size)
    guard size > 0 else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), memory != MAP_FAILED else {
      throw .system("map", path, errno)
    }
    defer { munmap(memory, size) }
    madvise(memory, size, MADV_SEQUENTIAL)
    return body(UnsafeRawBufferPointer(start: memory, count: size))
  }

  func flipBit(_ path: String, byte: Int, bit: Int) throws(TrialError) {
    let descriptor = Glibc.open(folder + "/" + path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", path, errno) }
    defer { close(descriptor) }
    var value: UInt8 = 0
    guard pread(descriptor, &value, 1, off_t(byte)) == 1 else { throw .faultMissed("\(path) has no byte \(byte)") }
    value ^= 1 << bit
    guard pwrite(descriptor, &value, 1, off_t(byte)) == 1, fsync(descriptor) == 0 else {
      throw .system("flip a bit of", path, errno)
    }
  }
}
