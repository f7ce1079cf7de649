import Foundation
import Glibc
import Testing

private let isRoot = geteuid() == 0

extension CommandLineTests {
  /// What the machine refuses: 69, with a remedy, and nothing left behind.
  @Suite struct Environment {
    @Test(arguments: [
      ("/etc/passwd", "Not a directory"), ("/etc/passwd/below", "Not a directory"),
      ("/nonexistent/dir", "No such file or directory (create it"),
    ])
    func directoriesThatAreNone(path: String, message: String) async throws {
      for storage in ["auto", "memory"] {
        let ended = try await tornlog("run", Cells.file, "-k", Cells.tiny, "--storage", storage, "--dir", path)
        #expect(ended.code == 69, "\(ended)")
        #expect(ended.err.contains(path) && ended.err.contains(message), "\(ended)")
        #expect(ended.out == "")
      }
    }

    /// Permissions do not bind root: as root it runs as nobody.
    @Test func `a directory without permission`() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      chmod(folder, 0o555)
      var (program, scenarios) = (Program.tornlog, Program.root + "/Scenarios")
      if isRoot {
        // The package may be closed to others; a copy is not.
        for path in [program, scenarios] {
          let copied = try await Running(["cp", "-r", path, scratch.root]).end()
          try #require(copied.code == 0, "\(copied)")
        }
        (program, scenarios) = (scratch.path("tornlog"), scratch.path("Scenarios"))
      }
      let user = isRoot ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : []
      for storage in ["auto", "memory"] {
        let ended = try await Running(
          user + [program, "run", scenarios, "-k", Cells.tiny, "--storage", storage, "--dir", folder], in: "/"
        ).end()
        #expect(ended.code == 69, "\(ended)")
        #expect(ended.err.contains("Permission denied (give this user access"), "\(ended)")
      }
      #expect(try scratch.entries() == [])
    }

    @Test(arguments: [("json=/nonexistent/report", "No such file"), ("junit=/tmp", "Is a directory")])
    func reportsThatCannotBeWrittenAreFoundBeforeTheRun(report: String, message: String) async throws {
      let ended = try await tornlog("run", "--report", report)
      #expect(ended.code == 64 && ended.err.contains(message), "\(ended)")
      #expect(ended.seconds < 10, "not after the whole suite")
    }

    @Test func `a trace that cannot be written`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "reproduce", Cells.token(), "--trace", "/nonexistent/trace", "--dir", scratch.folder())
      #expect(ended.code == 64 && ended.err.contains("cannot write the trace to /nonexistent/trace"), "\(ended)")
      #expect(try scratch.entries() == [])
    }

    @Test func `io_uring refused by the switch`() async throws {
      try await refused([], ["TORNLOG_REFUSE_IO_URING": "1"])
    }

    @Test func `io_uring refused by a seccomp filter`() async throws {
      try await refused([Program.seccompLauncher], [:])
    }

    /// The ring opened, and every trial hung to its limit.
    @Test func `io_uring that opens and takes no operation`() async throws {
      try await refused([Program.seccompLauncher, "--enter"], [:])
      let doctor = try await Running([Program.seccompLauncher, "--enter", Program.tornlog, "doctor"]).end()
      #expect(doctor.code == 0, "\(doctor)")
      #expect(doctor.out.contains("io_uring") && doctor.out.contains("refused: Operation not permitted"), "\(doctor)")
    }

    private func refused(_ launcher: [String], _ environment: [String: String?]) async throws {
      let scratch = try Scratch()
      let command = launcher + [Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--dir", try scratch.folder()]
      let ring = try await Running(command + ["--storage", "ring"], environment: environment).end()
      #expect(ring.code == 69, "\(ring)")
      #expect(ring.err.contains("io_uring is refused here") && ring.err.contains("--storage posix"), "\(ring)")
      #expect(!ring.err.contains("give this user access"), "the directory is not to blame")
      #expect(try scratch.entries() == [])
      let auto = try await Running(command + ["--report", "json"], environment: environment).end()
      #expect(auto.code == 0, "\(auto)")
      #expect(auto.err.contains("io_uring is refused") && auto.err.contains("using pwrite and fdatasync"), "\(auto)")
      #expect(auto.out.contains(#""storage": "posix""#), "\(auto)")
      // Finding 28: no report ever showed it. Once, though every trial meets it.
      let reported = try await Running(
        command + [
          "--repeat", "2", "--report", "terminal", "--report", "json=\(scratch.path("j"))", "--report",
          "junit=\(scratch.path("x"))",
        ],
        environment: environment
      ).end()
      #expect(reported.out.components(separatedBy: "note: io_uring is refused").count == 2, "\(reported)")
      #expect(!reported.err.contains("io_uring"), "\(reported)")
      let notices = try #require(try scratch.json("j")["notices"] as? [String])
      #expect(notices.count { $0.contains("io_uring is refused") } == 1)
      for trial in try scratch.trials("j") { #expect((trial["notices"] as? [String])?.isEmpty == true) }
      #expect(try scratch.text("x").contains(#"<property name="notice" value="io_uring is refused"#))
      #expect(try scratch.entries() == [])
    }

    /// Finding 25: `list >/dev/full` ended with 0.
    @Test(arguments: [
      "list", "list -v", "list --defects", "list --checks", "check", "--help", "--version", "doctor",
      "doctor --report json",
    ])
    func resultsThatCannotBeWritten(command: String) async throws {
      let ended = try await Running(["bash", "-c", "\(Program.tornlog) \(command) >/dev/full"]).end()
      #expect(ended.code == 69 && ended.err.contains("cannot write standard output: No space left"), "\(ended)")
    }

    /// A device of our own with the numbers of /dev/full: it is told that the trace broke off, and the device stays.
    @Test(.enabled(if: isRoot, "only root may make a device node"))
    func `a trace onto a full device`() async throws {
      let scratch = try Scratch()
      let node = scratch.path("full")
      try #require(mknod(node, S_IFCHR | 0o600, 1 << 8 | 7) == 0)
      for storage in ["memory", "posix"] {
        let ended = try await tornlog(
          "reproduce", Cells.token(), "--storage", storage, "--trace", node, "--dir", scratch.folder())
        #expect(ended.code == 0, "\(ended)")
        #expect(
          ended.out.components(separatedBy: "cannot write the whole trace to \(node): No space left").count == 2,
          "\(ended)")
        var status = stat()
        #expect(lstat(node, &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
      }
    }

    @Test(.enabled(if: isRoot, "only root may mount a tmpfs"))
    func `a disk that is too small is refused before the run`() async throws {
      let disk = try Tmpfs(megabytes: 2)
      let ended = try await tornlog("run", Cells.file, "-k", Cells.tiny, "--dir", disk.path)
      #expect(ended.code == 69, "\(ended)")
      #expect(ended.err.contains("MiB free") && ended.err.contains("--dir"), "\(ended)")
      #expect(try disk.entries == [])
    }

    /// The estimate finds room enough; what another program writes meanwhile nobody can foresee.
    @Test(.enabled(if: isRoot, "only root may mount a tmpfs"), arguments: ["ring", "posix"])
    func aDiskThatFillsUpUnderTheRun(storage: String) async throws {
      let disk = try Tmpfs(megabytes: 48)
      let scratch = try Scratch()
      let running = try Running([
        Program.tornlog, "run", Cells.file, "-t", "full", "-k",
        "ten-vs-hundred and messages=5000 and defect=none and partitions=3",
        "--jobs", "1",
        "--repeat", "50", "--storage", storage, "--dir", disk.path, "--report", "terminal", "--report",
        "json=\(scratch.path("j"))", "--progress", "never",
      ])
      // The first trials are at work.
      for _ in 0..<600 where try disk.entries == [] { try await Task.sleep(for: .milliseconds(50)) }
      try await Task.sleep(for: .milliseconds(300))
      disk.fill()
      let ended = try await running.end()
      #expect(ended.code == 69, "\(ended)")
      #expect(ended.err.contains("No space left on device (free space there"), "\(ended)")
      #expect(try disk.entries == ["filler"])
      // What had run until then is reported, and no trial is blamed for the disk: the one whose own report did not fit
      // any more is without a verdict, and says why.
      for trial in try scratch.trials("j") where trial["verdict"] as? String != "held" {
        let notices = trial["notices"] as? [String] ?? []
        #expect(trial["verdict"] as? String == "unknown", "\(trial)")
        #expect(notices.contains { $0.contains("No space left on device") }, "\(notices)")
      }
    }

    /// No figure of the engine, and no target that it missed.
    @Test(
      .enabled(if: isRoot, "only root may mount a tmpfs"),
      arguments: [["--only", "append"], ["--only", "recovery", "--recovery", "64MiB"], ["--only", "scan"]])
    func aBenchOnAFullDisk(options: [String]) async throws {
      let disk = try Tmpfs(megabytes: 4)
      let ended = try await Running([Program.tornlog, "bench", "--quick", "--dir", disk.path] + options).end()
      #expect(
        ended.code == 69 && ended.err.contains("No space left on device") && ended.err.contains("--dir"), "\(ended)")
      #expect(try disk.entries == [])
    }

    @Test func `a worker that dies at its start is no verdict`() async throws {
      let scratch = try Scratch()
      // A library that ends every process that is a worker, before its first instruction.
      let source = try scratch.write(
        "die.c",
        """
        #include <fcntl.h>
        #include <string.h>
        #include <unistd.h>
        __attribute__((constructor)) static void die(void) {
          char text[4096] = {0};
          long n = read(open("/proc/self/cmdline", O_RDONLY), text, 4095);
          for (long i = 0; i < n; i++)
            if (strcmp(text + i, "__worker") == 0) { write(2, "no memory for me\\n", 17); _exit(9); }
        }
        """)
      let library = scratch.path("die.so")
      let built = try await Running(["clang", "-shared", "-fPIC", "-w", "-o", library, source]).end()
      try #require(built.code == 0, "\(built)")
      let ended = try await Running(
        [Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--dir", try scratch.folder()],
        environment: ["LD_PRELOAD": library]
      ).end()
      #expect(ended.code == 2, "\(ended)")
      #expect(ended.out.contains("the worker ended by itself (exit status 9): no memory for me"), "\(ended)")
      #expect(try scratch.entries() == [])
    }
  }
}

/// A small file system of its own, unmounted with its owner.
final class Tmpfs {
  private let scratch: Scratch
  let path: String

  init(megabytes: Int) throws {
    scratch = try Scratch()
    path = try scratch.folder("disk")
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  var entries: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path) } }

  /// Takes what is free, in a file, until nothing more can be had.
  func fill() {
    let descriptor = open(path + "/filler", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    defer { close(descriptor) }
    let block = [UInt8](repeating: 1, count: 1 << 16)
    for size in [block.count, 4096] {
      var refusals = 0
      while refusals < 50 {
        if write(descriptor, block, size) <= 0 {
          refusals += 1
          usleep(1000)
        }
      }
    }
  }
}
