import Glibc
import LogModel
import RecordLogs
import Storage
import WriteAheadLog

/// What file names say before anything is read.
struct DirectoryScan {
  /// The highest epoch in the name of any segment. Every claim is above it, also where the claims themselves are gone.
  private(set) var newestEpoch = Epoch(0)
  /// Partitions that have segments.
  private(set) var inhabited: [TopicPartition] = []
  /// A segment of some partition, and a file of records: of which format the logs are.
  private(set) var segment: String?
  private(set) var recordLog: String?

  init(of storage: any Storage) async throws(EngineError) {
    do throws(StorageError) {
      for directory in MetadataLog.directories {
        do throws(StorageError) { try await note(segmentsIn: directory, storage) } catch {
          guard error.isErrno(EIO) else { throw error }  // the other copy, and the claims, know the epochs too
        }
      }
      for topic in try await Self.names(in: "topics", storage) where topic.isDirectory {
        for partition in try await Self.names(in: "topics/\(topic.name)", storage) where partition.isDirectory {
          let directory = "topics/\(topic.name)/\(partition.name)"
          guard try await note(logIn: directory, storage), let number = Int32(partition.name), number >= 0 else {
            continue
          }
          inhabited.append(TopicPartition(topic.name, PartitionID(Int(number))))
        }
      }
    } catch {
      throw .storage(error)
    }
  }

  private mutating func note(segmentsIn directory: String, _ storage: any Storage) async throws(StorageError) {
    for file in try await Self.names(in: directory, storage) {
      if let epoch = PartitionLog.epoch(ofSegment: file.name) { newestEpoch = max(newestEpoch, epoch) }
    }
  }

  /// - Returns: whether there is any file of a log.
  private mutating func note(logIn directory: String, _ storage: any Storage) async throws(StorageError) -> Bool {
    var found = false
    for file in try await Self.names(in: directory, storage) {
      if let epoch = PartitionLog.epoch(ofSegment: file.name) {
        newestEpoch = max(newestEpoch, epoch)
        segment = segment ?? "\(directory)/\(file.name)"
        found = true
      } else if RecordFiles.isLog(file.name) {
        recordLog = recordLog ?? "\(directory)/\(file.name)"
        found = true
      }
    }
    return found
  }

  private static func names(in directory: String, _ storage: any Storage) async throws(StorageError) -> [DirectoryEntry]
  {
    do throws(StorageError) { return try await storage.here().list(directory) } catch {
      if error.isNotFound { return [] }
      throw error
    }
  }
}
