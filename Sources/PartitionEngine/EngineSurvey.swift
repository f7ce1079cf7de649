import Glibc
import LogModel
import Storage
import WriteAheadLog

/// What file names say before anything is read.
struct EngineSurvey {
  /// The highest epoch in the name of any segment. Every claim is above it, also where the claims themselves are gone.
  private(set) var newestEpoch = Epoch(0)
  /// Partitions that have segments.
  private(set) var inhabited: [TopicPartition] = []

  init(of storage: any Storage) async throws(EngineError) {
    do throws(StorageError) {
      for directory in MetadataLog.directories {
        do throws(StorageError) { _ = try await note(segmentsIn: directory, storage) } catch {
          guard error.isErrno(EIO) else { throw error }  // the other copy, and the claims, know the epochs too
        }
      }
      for topic in try await Self.names(in: "topics", storage) where topic.isDirectory {
        for partition in try await Self.names(in: "topics/\(topic.name)", storage) where partition.isDirectory {
          let hasSegments = try await note(segmentsIn: "topics/\(topic.name)/\(partition.name)", storage)
          guard hasSegments, let number = Int32(partition.name), number >= 0 else { continue }
          inhabited.append(TopicPartition(topic.name, PartitionID(Int(number))))
        }
      }
    } catch {
      throw .storage(error)
    }
  }

  /// - Returns: whether there are any.
  private mutating func note(segmentsIn directory: String, _ storage: any Storage) async throws(StorageError) -> Bool {
    var found = false
    for file in try await Self.names(in: directory, storage) {
      guard let epoch = PartitionLog.epoch(ofSegment: file.name) else { continue }
      newestEpoch = max(newestEpoch, epoch)
      found = true
    }
    return found
  }

  private static func names(in directory: String, _ storage: any Storage) async throws(StorageError) -> [DirectoryEntry] {
    do throws(StorageError) { return try await storage.list(directory) } catch {
      if error.isNotFound { return [] }
      throw error
    }
  }
}
