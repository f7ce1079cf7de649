import Foundation
import Glibc
import Storage
import Testing
import Volume

/// Whether volumes can be mounted here.
enum Mounting {
  /// Why not, or nil.
  static let refusal: String? = {
    do {
      let scratch = Scratch()
      try VolumeMount(Volume(), at: scratch.path + "/probe").unmount()
      return nil
    } catch {
      return "\(error)"
    }
  }()
}

/// A folder of a test's own.
final class Scratch {
  let path: String

  init(in parent: String = NSTemporaryDirectory()) {
    // As the kernel names it: tests look for it among the mounts.
    let parent = URL(fileURLWithPath: parent).resolvingSymlinksInPath().path
    var template = Array((parent + "/tornlog-volume-test-XXXXXX").utf8CString)
    mkdtemp(&template)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A volume, mounted for a test.
final class Mounted {
  let volume: Volume
  let mount: VolumeMount
  let scratch = Scratch()

  init(_ change: (inout VolumeOptions) -> Void = { _ in }) throws {
    var options = VolumeOptions()
    options.memoryLimit = 256 << 20
    change(&options)
    volume = Volume(options)
    mount = try VolumeMount(volume, at: scratch.path + "/volume")
  }

  deinit { mount.unmount() }

  func path(_ name: String) -> String { mount.folder + "/" + name }

  /// Opens; the descriptor is the caller's.
  func open(_ name: String, _ flags: Int32 = O_RDWR | O_CREAT) -> Int32 {
    let file = Glibc.open(path(name), flags | O_CLOEXEC, 0o644)
    #expect(file >= 0, "\(name): \(String(cString: strerror(errno)))")
    return file
  }

  /// Writes a file, and leaves it.
  func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0) {
    let file = open(name)
    defer { close(file) }
    #expect(pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
  }

  /// What a file holds, as the cache has it.
  func read(_ name: String, _ count: Int = 1 << 20) -> [UInt8] {
    let file = open(name, O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: count)
    let got = pread(file, &bytes, count, 0)
    return Array(bytes.prefix(max(0, got)))
  }

  /// What a file holds, as the volume has it.
  func stored(_ name: String) -> [UInt8] {
    if let inode = volume.inode(at: "/" + name) { volume.dropCaches(of: inode) }
    return read(name)
  }

  /// Operations from `first` on that change something, without those that open and close.
  func changes(from first: Int = 0) -> [VolumeOperation] {
    volume.trace.operations[first...].filter { ![.open, .flush, .release].contains($0.kind) && !$0.kind.isRead }
  }
}

/// Bytes that tell their places.
func pattern(_ count: Int, _ start: UInt8 = 1) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) &+ start }
}

/// pwrite of all bytes.
func put(_ file: Int32, _ bytes: [UInt8], at offset: Int) -> Int { pwrite(file, bytes, bytes.count, off_t(offset)) }

/// A call that fails: its errno; 0 of one that does not.
func code<Number: SignedInteger>(_ result: Number) -> Int32 { result < 0 ? errno : 0 }
