import Foundation
import Glibc
import Storage
import Testing

@testable import Doctor

@Suite struct DoctorTests {
  private func place(_ directory: String) -> Finding {
    Doctor.examineDirectory(directory).findings[0]
  }

  @Test func `a directory that is a file`() throws {
    let finding = place("/proc/self/status")
    #expect(finding.status == .failure)
    #expect(finding.detail.contains("is a file"))
    #expect(finding.remedy == "name a directory with --dir")
    #expect(Doctor.exitCode(Doctor.examine(directory: "/proc/self/status")) == 69)
  }

  @Test func `a directory that is not there`() {
    let finding = place("/tmp/tornlog-absent")
    #expect(finding.status == .failure && finding.remedy!.hasPrefix("create it"))
  }

  /// /proc refuses new files even to root; nobody's word is needed.
  @Test func `a directory in which no file can be made`() {
    let findings = Doctor.examine(directory: "/proc")
    #expect(Doctor.exitCode(findings) == 69)
    #expect(findings.contains { $0.status == .failure && $0.detail.contains("no file can be made there") })
    #expect(!findings.contains { $0.check == "O_DIRECT" })
  }

  /// Permissions do not bind root: as root, a thread of its own looks as an ordinary user (`man 2 setfsuid`: what files
  /// are opened and made with is the thread's own, and the right to override permissions goes with user 0).
  @Test func `a directory without permission`() async {
    var template = Array("/tmp/tornlog-test-XXXXXX".utf8CString)
    let path = String(cString: mkdtemp(&template))
    defer { rmdir(path) }
    chmod(path, 0o500)
    let finding = await withCheckedContinuation { (continuation: CheckedContinuation<Finding, Never>) in
      Thread {
        // Swift's module of the C library does not have it.
        let setfsuid = unsafeBitCast(dlsym(nil, "setfsuid"), to: (@convention(c) (UInt32) -> Int32).self)
        if geteuid() == 0 { _ = setfsuid(65534) }
        continuation.resume(returning: place(path))
      }.start()
    }
    #expect(finding.status == .failure && finding.remedy!.contains("write access"))
  }

  @Test(.enabled(if: FileSystemKind.of("/dev/shm").name == "tmpfs", "no tmpfs at /dev/shm"))
  func `a tmpfs is named, with what its figures are worth`() {
    let findings = Doctor.examine(directory: "/dev/shm")
    let fileSystem = findings.first { $0.check == "file system" }
    #expect(fileSystem?.status == .warning)
    #expect(fileSystem?.detail.contains("tmpfs") == true)
    #expect(Doctor.exitCode(findings.filter { $0.check == "file system" }) == 0)
  }

  @Test func `io_uring refused: the remedy follows the cause`() {
    let filtered = "Name:\ttornlog\nSeccomp:\t2\n"
    let free = "Name:\ttornlog\nSeccomp:\t0\n"
    #expect(Doctor.ring(errno: 0, disabled: "0", status: free).status == .ok)
    #expect(Doctor.ring(errno: EPERM, disabled: "2", status: free).remedy!.contains("kernel.io_uring_disabled is 2"))
    #expect(Doctor.ring(errno: EPERM, disabled: nil, status: filtered).remedy!.contains("seccomp"))
    #expect(Doctor.ring(errno: ENOSYS, disabled: "0", status: filtered).remedy!.contains("seccomp"))
    #expect(Doctor.ring(errno: ENOSYS, disabled: nil, status: free).remedy!.contains("CONFIG_IO_URING"))
    #expect(Doctor.ring(errno: ENOMEM, disabled: "0", status: free).remedy!.contains("ulimit -l"))
    #expect(Doctor.ring(errno: nil, disabled: "0", status: free).remedy!.contains("unset"))
  }

  @Test(arguments: [
    ("6.18.44-fc-v595", Finding.Status.ok), ("5.15.0", .ok), ("5.10.0-28-amd64", .warning), ("x", .warning),
  ])
  func `kernel releases`(release: String, status: Finding.Status) {
    #expect(Doctor.kernel(release: release).status == status)
  }

  @Test func `volumes: what is missing is named with what to do`() throws {
    let (admin, nobody) = ("CapEff:\t000001ffffffffff\n", "CapEff:\t0000000000000000\n")
    func found(_ device: Int32, _ status: String, root: Bool, helper: Bool) -> [Finding] {
      Doctor.volumes(device: device, status: status, isRoot: root, hasHelper: helper)
    }
    #expect(found(0, admin, root: true, helper: false).map(\.status) == [.ok])
    #expect(found(0, nobody, root: false, helper: true).map(\.status) == [.ok, .warning])
    #expect(found(ENOENT, admin, root: true, helper: true)[0].remedy?.contains("modprobe fuse") == true)
    #expect(found(EPERM, admin, root: true, helper: true)[0].remedy?.contains("--device /dev/fuse") == true)
    #expect(found(0, nobody, root: true, helper: true)[0].remedy?.contains("--cap-add SYS_ADMIN") == true)
    #expect(found(0, nobody, root: false, helper: false)[0].remedy?.contains("fuse3") == true)
  }

  @Test func `limits are read from the kernel's table`() {
    let table = """
      Limit                     Soft Limit           Hard Limit           Units
      Max open files            256                  524288               files
      Max locked memory         65536                65536                bytes
      Max core file size        unlimited            unlimited            bytes
      """
    #expect(Doctor.openFiles(limits: table).status == .warning)
    #expect(Doctor.lockedMemory(limits: table, status: "CapEff:\t0000000000000000\n").status == .warning)
    #expect(Doctor.lockedMemory(limits: table, status: "CapEff:\t0000000000004000\n").status == .ok)
    #expect(Doctor.softLimit("Max core file size", in: table) == nil)
  }

  @Test func `the examination leaves nothing behind`() {
    _ = Doctor.examine(directory: "/tmp")
    #expect(access("/tmp/tornlog-doctor-\(getpid())", F_OK) != 0)
  }

  @Test func `the text is aligned, a remedy stands below its finding`() throws {
    let findings = [
      Finding("kernel", .ok, "6.1.0"), Finding("open files", .failure, "8", remedy: "ulimit -n 1024"),
    ]
    let expected = """
      ok       kernel      6.1.0
      FAILURE  open files  8
                           -> ulimit -n 1024

      tornlog cannot run here (1 failure, 0 warnings)

      """
    #expect(Doctor.renderText(findings) == expected)
    #expect(try Doctor.renderJSON(findings).contains("\"canRun\" : false"))
  }
}

@Suite struct MountTests {
  @Test(.enabled(if: access("/proc/self/mountinfo", R_OK) == 0))
  func `the deepest mount above a path counts`() {
    #expect(FileSystemKind.of("/proc/self").name == "proc")
    #expect(FileSystemKind.of("/absent/path").name == "unknown")
  }
}
