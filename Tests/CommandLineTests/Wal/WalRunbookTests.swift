import EventReceivers
import Foundation
import LogModel
import RecordLogs
import SampleLogs
import Testing

/// The commands of the documents, as they are written there but for the program's name and the places of the files.
extension CommandLineTests {
  @Suite struct WalRunbooks {
    // MARK: Streamhouse, "WAL Recovery Failures"

    private func streamhouse() throws -> WalFolder {
      let folder = try WalFolder()
      let values = SampleLog.values(100, size: 120)
      var bytes = SampleLog.bytes(of: .streamhouse, values)
      for at in [4000, 4001, 9000, 9001] { bytes[at] ^= 0x5A }
      try folder.write("data/wal/orders-0.wal", bytes)
      for name in ["orders-1", "inventory-0"] {
        try folder.write("data/wal/\(name).wal", SampleLog.bytes(of: .streamhouse, values))
      }
      return folder
    }

    @Test func diagnosticCommands() async throws {
      let folder = try streamhouse()
      let ended = try await folder.shell(
        """
        tornlog wal verify data/wal/orders-0.wal; echo "verify $?"
        dd if=data/wal/orders-0.wal of=/dev/null bs=4096 2>/dev/null; echo "dd $?"
        tornlog wal dump --format runbook data/wal/orders-0.wal | head -20
        """)
      #expect(ended.out.contains("verify 1") && ended.out.contains("dd 0"), "\(ended)")
      #expect(ended.out.contains("damaged record 27 ") && ended.out.contains("stored 0x"), "\(ended)")
      #expect(ended.out.contains("Record 0: offset=0, crc=0x"), "\(ended)")
    }

    /// "This deletes the entire WAL file and loses all unflushed data": the backup still gives 98 of 100 records.
    @Test func optionTwo() async throws {
      let folder = try streamhouse()
      let ended = try await folder.shell(
        """
        set -e
        cp data/wal/orders-0.wal orders-0.wal.backup
        rm data/wal/orders-0.wal
        tornlog wal verify --quiet data/wal
        tornlog wal repair --input orders-0.wal.backup --output rescued.wal
        """)
      #expect(ended.code == 0 && ended.out.contains("98 records recovered"), "\(ended)")
    }

    /// Which log is the corrupted one is what the option does not say: `verify` does.
    @Test func optionFour() async throws {
      let folder = try streamhouse()
      let ended = try await folder.shell(
        """
        for wal in data/wal/*.wal; do
          sync $wal || echo "Failed to sync $wal"
        done
        for wal in data/wal/*.wal; do
          tornlog wal verify --quiet $wal > /dev/null || rm $wal
        done
        ls data/wal
        """)
      #expect(ended.out == "inventory-0.wal\norders-1.wal\n", "\(ended)")
    }

    @Test func optionFive() async throws {
      let folder = try streamhouse()
      let ended = try await folder.shell(
        """
        set -e
        cp data/wal/orders-0.wal ./corrupted.wal
        tornlog wal repair \\
          --input ./corrupted.wal \\
          --output ./repaired.wal \\
          --skip-corrupted
        cp ./repaired.wal data/wal/orders-0.wal
        tornlog wal verify data/wal/orders-0.wal
        """)
      #expect(ended.code == 0 && ended.out.contains("sound: 98 records"), "\(ended)")
      #expect(ended.out.contains("this format carries no offsets"), "\(ended)")
    }

    /// "Set Up Periodic Health Checks", with a check that can find something.
    @Test func healthCheck() async throws {
      let folder = try streamhouse()
      let ended = try await folder.shell(
        """
        for wal in data/wal/*.wal; do
          if ! tornlog wal verify --quiet $wal > /dev/null 2>&1; then
            echo "WAL health check failed: $wal"
          fi
        done
        """)
      #expect(ended.out == "WAL health check failed: data/wal/orders-0.wal\n", "\(ended)")
    }

    // MARK: airunner, "WAL Operations Runbook"

    private func job(_ count: Int64, sent: Int64) -> [UInt8] {
      AirunnerCodec.fileHeader + (1...count).flatMap { SampleLog.airunner($0, .pending, Array("event \($0)".utf8)) }
        + (sent > 0 ? (1...sent).flatMap { SampleLog.airunner($0, .sent, []) } : [])
    }

    private func expect(_ receiver: HTTPReceiver, _ job: String, _ numbers: [Int64]) throws {
      let taken = receiver.received.taken[try JobID(job), default: []]
      #expect(taken.map(\.sequence) == numbers && taken.allSatisfy { $0.payload == Array("event \($0.sequence)".utf8) })
    }

    @Test func corruptWalFiles() async throws {
      let folder = try WalFolder()
      var bytes = job(30, sent: 0)
      for at in [500, 501] { bytes[at] ^= 0x5A }
      try folder.write("home/.airunner/wal/job-1.wal", bytes)
      let ended = try await folder.shell(
        """
        cp ~/.airunner/wal/job-1.wal backup.wal
        tornlog wal verify backup.wal
        tornlog wal repair --input backup.wal --output mended.wal
        tornlog wal inspect mended.wal
        """)
      #expect(ended.code == 0 && ended.out.contains("damaged record 12 "), "\(ended)")
      #expect(ended.out.contains("29 records recovered") && ended.out.contains("missing: offsets 12..<13"), "\(ended)")
      #expect(ended.out.contains("unsent     29 events"), "\(ended)")
    }

    @Test func manualEventReplay() async throws {
      let folder = try WalFolder()
      try folder.write("job-1.wal", job(250, sent: 5))
      let receiver = try HTTPReceiver()
      defer { receiver.stop() }
      let ended = try await folder.shell("tornlog wal replay job-1.wal --server=http://\(receiver.address)")
      #expect(ended.code == 0 && ended.out.contains("245 sent"), "\(ended)")
      try expect(receiver, "job-1", Array(6...250))
      let again = try await folder.shell("tornlog wal replay job-1.wal --server=http://\(receiver.address)")
      #expect(again.code == 0 && again.out.contains("0 sent, 245 by an earlier replay"), "\(again)")
      #expect(receiver.received.repeats == 0)
    }

    @Test func aPauseThatIsAskedForIsGiven() async throws {
      let folder = try WalFolder()
      try folder.write("job-1.wal", job(5, sent: 0))
      let receiver = try HTTPReceiver()
      defer { receiver.stop() }
      try receiver.set(.asksForAPause(.seconds(2)))
      let running = try Running([
        Program.tornlog, "wal", "replay", folder.scratch.path("job-1.wal"), "--server", "http://\(receiver.address)",
      ])
      try await Task.sleep(for: .milliseconds(700))
      try receiver.set(.accepts)
      let ended = try await running.end(within: 20)
      #expect(ended.code == 0 && ended.out.contains("5 sent") && ended.seconds > 1.8, "\(ended)")
      try expect(receiver, "job-1", Array(1...5))
    }

    @Test func forceArchiveCleanup() async throws {
      let folder = try WalFolder()
      try folder.write("home/.airunner/wal/done.wal", job(5, sent: 5))
      try folder.write("home/.airunner/wal/unsent.wal", job(5, sent: 4))
      let ended = try await folder.shell(
        """
        tornlog wal archive ~/.airunner/wal/done.wal --to ~/.airunner/archive --remove
        tornlog wal archive ~/.airunner/wal/unsent.wal --to ~/.airunner/archive; echo "unsent $?"
        tornlog wal archive --force ~/.airunner/wal/unsent.wal --to ~/.airunner/archive
        touch -d '40 days ago' ~/.airunner/archive/*
        tornlog wal cleanup --older-than=30d --dry-run
        tornlog wal cleanup --older-than=30d
        ls ~/.airunner/archive
        """)
      #expect(ended.code == 0 && ended.out.contains("unsent 69"), "\(ended)")
      #expect(ended.out.contains("would remove") && ended.out.hasSuffix("unsent.wal.zst\n"), "\(ended)")
      #expect(!ended.out.hasSuffix("done.wal.zst\nunsent.wal.zst\n"), "\(ended)")
    }

    @Test(.enabled(if: WalRunbooks.zstd, "no zstd on the PATH")) func recoverDiskSpaceAndDisasterRecovery() async throws
    {
      let folder = try WalFolder()
      try folder.write("home/.airunner/wal/job-1.wal", job(20, sent: 3))
      try folder.write("home/.airunner/wal/job-2.wal", job(10, sent: 0))
      let receiver = try HTTPReceiver()
      defer { receiver.stop() }
      let ended = try await folder.shell(
        """
        set -e
        mkdir -p ~/.airunner/archive
        for wal in ~/.airunner/wal/*.wal; do
            job_id=$(basename "$wal" .wal)
            zstd -q "$wal" -o ~/.airunner/archive/"$job_id".wal.zst
            rm "$wal"
        done
        tornlog wal verify ~/.airunner/archive
        zstd -l ~/.airunner/archive/job-1.wal.zst
        for archive in ~/.airunner/archive/*.wal.zst; do
            zstd -q -d "$archive" -o ~/.airunner/wal/$(basename "$archive" .zst)
        done
        tornlog wal replay --all --server=http://\(receiver.address)
        """)
      #expect(ended.code == 0, "\(ended)")
      try expect(receiver, "job-1", Array(4...20))
      try expect(receiver, "job-2", Array(1...10))
    }

    @Test(.enabled(if: WalRunbooks.zstd, "no zstd on the PATH")) func archivesAreWhatZstdReads() async throws {
      let folder = try WalFolder()
      let bytes = job(200, sent: 200)
      try folder.write("job.wal", bytes)
      let ended = try await folder.shell(
        """
        set -e
        for level in fastest default better best; do
          tornlog wal archive job.wal --to $level --level $level
          zstd -q -d $level/job.wal.zst -o $level/decompressed.wal
          cmp $level/decompressed.wal job.wal
          zstd -l $level/job.wal.zst
        done
        """)
      #expect(ended.code == 0 && ended.out.contains("XXH64"), "\(ended)")
    }

    static let zstd = ["/usr/bin/zstd", "/usr/local/bin/zstd"].contains {
      FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test func migrateWalDirectory() async throws {
      let folder = try WalFolder()
      let bytes = job(20, sent: 3)
      try folder.write("home/.airunner/wal/job-1.wal", bytes)
      let ended = try await folder.shell(
        """
        tornlog wal migrate ~/.airunner/wal --to $PWD/mnt/ssd/airunner/wal
        readlink ~/.airunner/wal
        tornlog wal verify ~/.airunner/wal
        """)
      #expect(ended.code == 0 && ended.out.contains("\(folder.scratch.root)/mnt/ssd/airunner/wal\n"), "\(ended)")
      #expect(try folder.read("mnt/ssd/airunner/wal/job-1.wal") == bytes)
      #expect(try folder.read("home/.airunner/wal.before-migration/job-1.wal") == bytes)
    }

    // MARK: Replay buffer, "Manual Tools"

    @Test func manualToolsOfTheReplayBuffer() async throws {
      let folder = try WalFolder()
      try folder.write(
        "data/wal/buffer.wal",
        SampleLog.bytes(of: .replayBuffer, SampleLog.values(3)) + SampleLog.replay(0, .checkpoint, [])
          + SampleLog.replay(0, .commit, []))
      let ended = try await folder.shell(
        """
        set -e
        tornlog wal --inspect data/wal
        tornlog wal --verify data/wal
        tornlog wal --compact data/wal/buffer.wal --output compacted.wal
        gzip -k compacted.wal
        tornlog wal --inspect compacted.wal.gz
        tornlog wal --verify compacted.wal.gz
        """)
      #expect(ended.code == 0 && ended.out.contains("startBuffer 3"), "\(ended)")
      #expect(ended.out.contains("6 records kept, 5 dropped") && ended.out.contains("of gzip"), "\(ended)")
    }
  }
}
