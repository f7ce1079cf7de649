import FaultInjection
import Foundation
import Glibc
import LogModel
import Storage

/// The engine's files while no engine runs.
struct FilesAtRest: AtRestDamage.Medium {
  let folder: String

  func files(of partition: TopicPartition) throws(TrialError) -> [String] {
    try files(in: "topics/\(partition)")
  }

  func files(ofMetadata copy: String) throws(TrialError) -> [String] { try files(in: copy) }

  private func files(in directory: String) throws(TrialError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder + "/" + directory)
        .filter { FaultTarget.isLog($0) }.sorted().map { "\(directory)/\($0)" }
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

  func apply(_ fault: AtRestFault) throws(TrialError) -> AtRestFaultReceipt {
    do throws(StorageError) { return try fault.apply(to: AtRestFolder(folder)) } catch {
      throw .faultMissed("\(error)")
    }
  }
}
