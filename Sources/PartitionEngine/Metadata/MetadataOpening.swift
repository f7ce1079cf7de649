import Glibc
import LogModel
import Storage
import WriteAheadLog

/// Opening the copies of the metadata log.
///
/// A copy that cannot be opened for a failing device (EIO, twice) is done without: once the other is known to be whole,
/// its directory is set aside under another name, untouched, and an empty one takes its place. Any other error, a
/// missing permission say, is one that somebody can mend: it keeps the engine from opening. So does EIO where the other
/// copy is empty: it may be one that has just been put in such a place, and never been written.
struct MetadataOpening {
  let storage: any Storage
  let configuration: LogConfiguration
  let reading: any MetadataReading
  let claim: any WriterClaim
  let folders: DurableDirectories
  /// By their directories; nil for one that cannot be opened.
  private(set) var copies: [Copy?] = MetadataLog.directories.map { _ in nil }

  struct Copy {
    var log: PartitionLog
    var report: RecoveryReport
  }

  init(
    _ storage: any Storage, _ configuration: LogConfiguration, _ reading: any MetadataReading, _ claim: any WriterClaim,
    _ folders: DurableDirectories
  ) {
    self.storage = storage
    self.reading = reading
    self.claim = claim
    self.folders = folders
    var configuration = configuration
    configuration.syncPolicy = .always
    configuration.recoveryPolicy = .skipCorrupted
    configuration.firstPreallocation = min(configuration.firstPreallocation, 64 << 10)
    configuration.largestPreallocation = min(configuration.largestPreallocation, 256 << 10)
    configuration.recentBytes = 64 << 10
    configuration.commitWindow = .zero
    self.configuration = configuration
  }

  mutating func run() async throws(EngineError) -> MetadataReplay {
    var failure: StorageError?
    do throws(StorageError) {
      for index in copies.indices {
        do throws(StorageError) { copies[index] = try await openTwice(index) } catch {
          guard error.isErrno(EIO), failure == nil else { throw error }
          failure = error
        }
      }
    } catch {
      throw .storage(error)
    }
    let logs = copies.compactMap { $0?.log }
    if let failure, logs.allSatisfy({ $0.logEndOffset == 0 }) { throw .storage(failure) }
    let replay = try await MetadataReplay.run(logs, reading, on: storage)
    do throws(StorageError) {
      for (index, directory) in MetadataLog.directories.enumerated() where copies[index] == nil {
        try await storage.here().rename(directory, to: "\(directory).unreadable-\(claim.epoch)")
        folders.forget(directory)
        copies[index] = try await open(index)
      }
    } catch {
      throw .storage(error)
    }
    return replay
  }

  func close() async {
    for case let copy? in copies {
      do throws(StorageError) { try await copy.log.close() } catch {}  // the failure that led here says more
    }
  }

  private func openTwice(_ index: Int) async throws(StorageError) -> Copy {
    do throws(StorageError) { return try await open(index) } catch {
      guard error.isErrno(EIO) else { throw error }
    }
    return try await open(index)
  }

  private func open(_ index: Int) async throws(StorageError) -> Copy {
    let directory = MetadataLog.directories[index]
    var configuration = configuration
    // Bytes of one copy never pass for the other's.
    configuration.saltSeed = mix64(configuration.saltSeed &+ UInt64(index))
    try await folders.make(directory)
    let (log, report) = try await PartitionLog.open(
      MetadataLog.source, in: directory, of: storage, configuration,
      hints: RecoveryHints(logStartOffset: nil, epoch: Epoch(max(1, claim.epoch.rawValue) - 1)), fence: claim)
    return Copy(log: log, report: report)
  }
}
