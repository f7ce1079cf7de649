import Storage

extension JobArchive {
  /// The events of a job that was archived, in the order of its log ("Disaster Recovery" of the airunner runbook:
  /// decompress, replay).
  /// - Returns: nil where there is no archive of it, or it is cut off or damaged: then nothing in it is believed.
  public func events(of job: JobID) async throws(JobLogError) -> [Event]? {
    do throws(StorageError) {
      let path = path(job)
      guard try await storage.here().list(directory).contains(where: { "\(directory)/\($0.name)" == path }),
        try await storage.readCompressed(path) != nil
      else { return nil }
      let file = try await storage.here().open(path, [])
      do throws(StorageError) {
        let events = try await events(in: FileSource(storage, file, limit: try await storage.here().size(of: file)))
        await storage.close(file)
        return events
      } catch {
        await storage.close(file)
        throw error
      }
    } catch { throw .log(.storage(error)) }
  }

  private func events(in file: FileSource) async throws(StorageError) -> [Event] {
    let header = AirunnerCodec.fileHeader
    var scanner = RecordScanner<AirunnerCodec>(storage, GzipSource(storage, file))
    guard try await scanner.head(header.count) == header else { return [] }
    scanner.skip(to: Int64(header.count))
    var events: [Event] = []
    while true {
      switch try await scanner.next() {
      case .record(let at, let length):
        let record = AirunnerCodec.record(in: scanner.bytes(at: at, length))
        if record.status == .pending {
          events.append(Event(sequence: record.sequence, timestamp: record.timestamp, payload: Array(record.payload)))
        }
      case .damage: continue
      case .end: return events
      }
    }
  }
}
