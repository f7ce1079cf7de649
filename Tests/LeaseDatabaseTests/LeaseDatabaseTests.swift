import Foundation
import Glibc
import LogModel
import PartitionEngine
import Storage
import Testing
import WriteAheadLog

@testable import LeaseDatabase

@Suite struct LeaseDatabaseTests {
  static let second = Duration.seconds(1)
  static func at(_ seconds: Int) -> Instant { Instant(nanoseconds: Int64(seconds) * 1_000_000_000) }

  /// A folder for the database's file, removed afterwards.
  static func inFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-lease-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder + "/leases.sqlite")
  }

  private static func claim(_ database: LeaseDatabase, _ holder: String, at now: Int, above floor: UInt64 = 0) throws
    -> LeaseDatabase.Claim
  {
    try database.claim("orders", holder: holder, above: Epoch(floor), now: at(now), until: at(now + 10))
  }

  @Test func oneHolderAtATime() throws {
    let database = try LeaseDatabase(path: nil)
    #expect(try Self.claim(database, "a", at: 0) == .granted(Epoch(1)))
    #expect(
      try Self.claim(database, "b", at: 9)
        == .held(LeaseDatabase.Lease(epoch: Epoch(1), holder: "a", expires: Self.at(10))))
    // Renewed, it runs on; run out, it is taken over, and its holder cannot renew it any more.
    #expect(try database.renew("orders", Epoch(1), until: Self.at(20)))
    #expect(try Self.claim(database, "b", at: 15) != .granted(Epoch(2)))
    #expect(try Self.claim(database, "b", at: 20) == .granted(Epoch(2)))
    #expect(try !database.renew("orders", Epoch(1), until: Self.at(40)))
    #expect(try database.lease("orders")?.holder == "b")
    // Another log is another lease.
    #expect(
      try database.claim("payments", holder: "a", above: Epoch(0), now: Self.at(21), until: Self.at(31))
        == .granted(Epoch(1)))
  }

  /// An epoch is given once, also where the database is new and the log is not.
  @Test func epochsRise() throws {
    let database = try LeaseDatabase(path: nil)
    #expect(try Self.claim(database, "a", at: 0, above: 41) == .granted(Epoch(42)))
    #expect(try database.renew("orders", Epoch(42), until: Self.at(0)))
    #expect(try Self.claim(database, "a", at: 1, above: 3) == .granted(Epoch(43)))
  }

  @Test func whatWasGivenIsThereAfterAnotherOpening() throws {
    try Self.inFolder { path in
      #expect(try Self.claim(LeaseDatabase(path: path), "a", at: 0) == .granted(Epoch(1)))
      let (one, two) = (try LeaseDatabase(path: path), try LeaseDatabase(path: path))
      guard case .held = try Self.claim(one, "b", at: 1) else {
        Issue.record("it was given twice")
        return
      }
      #expect(try Self.claim(two, "b", at: 10) == .granted(Epoch(2)))
      #expect(try one.lease("orders")?.epoch == Epoch(2))
    }
  }

  /// A hundred claims from several connections at once: no epoch is given twice.
  @Test func claimsFromManyThreads() throws {
    try Self.inFolder { path in
      final class Found: @unchecked Sendable {
        // Guarded by its lock.
        let lock = NSLock()
        var epochs: [UInt64] = []
      }
      let found = Found()
      _ = try LeaseDatabase(path: path)
      DispatchQueue.concurrentPerform(iterations: 4) { thread in
        do {
          let database = try LeaseDatabase(path: path)
          var given = 0
          while given < 25 {
            do throws(StorageError) {
              // Each of them has run out when the next one asks.
              if case .granted(let epoch) = try database.claim(
                "orders", holder: "\(thread)", above: Epoch(0), now: Self.at(1), until: Self.at(0))
              {
                found.lock.withLock { found.epochs.append(epoch.rawValue) }
                given += 1
              }
            } catch { if !error.isErrno(EBUSY) { throw error } }
          }
        } catch { Issue.record("\(error)") }
      }
      #expect(found.epochs.sorted() == Array(1...100))
    }
  }

  /// Somebody removes the database, or replaces it: whoever holds the old one is told nothing by it.
  @Test func aReplacedFileIsNotBelieved() throws {
    try Self.inFolder { path in
      let first = try LeaseDatabase(path: path)
      #expect(try Self.claim(first, "a", at: 0) == .granted(Epoch(1)))
      try FileManager.default.removeItem(atPath: path)
      #expect(throws: StorageError(errno: ESTALE, .lock, path)) { try first.lease("orders") }
      let other = try LeaseDatabase(path: path)
      #expect(try Self.claim(other, "b", at: 1, above: 1) == .granted(Epoch(2)))
      #expect(throws: StorageError(errno: ESTALE, .lock, path)) {
        try first.renew("orders", Epoch(1), until: Self.at(9))
      }
    }
  }

  @Test func mistakesAreTold() throws {
    try Self.inFolder { path in
      try Data("this is no database, and long enough to be one by its size".utf8).write(to: URL(fileURLWithPath: path))
      #expect(throws: StorageError(errno: EIO, .lock, path)) { try LeaseDatabase(path: path) }
      #expect(throws: StorageError(errno: EACCES, .lock, path + "/not/there")) {
        try LeaseDatabase(path: path + "/not/there")
      }
    }
  }
}
