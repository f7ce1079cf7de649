import LogModel
import Storage

/// From one state, and one life, to the next.
extension StateStorage {
  /// Puts the disk of a state in place.
  package func load(_ image: DiskImage) {
    ownCount = 0
    journal.clear()
    files.removeAll(keepingCapacity: true)
    for file in image.files {
      files.append(File(sectors: file.sectors, size: file.size, durable: file.sectors, durableSize: file.size))
    }
    resetNames()
    for (path, node) in image.names {
      switch node {
      case .directory: visible[Int(path)] = Self.isDirectory
      case .file(let file):
        visible[Int(path)] = file
        files[Int(file)].links += 1
      }
    }
    durable = visible
    reads.begin(visible, pathLimit: recordedPaths)
    beginReads()
  }

  /// The second life begins, on what the first has left.
  package func beginSecondReads() {
    swap(&reads, &firstReads)
    reads.begin(visible, pathLimit: .max)
    beginReads()
  }

  /// What the second life has asked, asked of the first one's disk.
  package func followSecondReads(_ questions: [DiskQuestion]) {
    for question in questions { firstReads.follow(question, of: reads) }
  }

  private func beginReads() {
    for file in files { reads.add(file.sectors, size: file.size) }
    reads.findHomes()
  }

  private func resetNames() {
    visible.removeAll(keepingCapacity: true)
    for _ in 0..<table.count { visible.append(Self.absent) }
    visible[0] = Self.isDirectory
  }

  /// Starts a machine on the disk.
  package func boot(_ loop: EventLoop, bootID: UInt32) {
    self.loop = loop
    properties.bootID = bootID
    handles.removeAll(keepingCapacity: true)
    patience = Self.operationsALife
    isDead = false
  }

  /// Ends the machine; operations that come later fail.
  package func kill() { isDead = true }

  /// Takes away everything that the profile allows to be taken.
  package func dropVolatile() {
    for f in files.indices {
      files[f].sectors = files[f].durable
      if profile.sizes != .immediate { files[f].size = files[f].durableSize }
      files[f].links = 0
    }
    if profile.names != .immediate { for path in visible.indices { visible[path] = durable[path] } }
    for path in visible.indices.dropFirst() where visible[path] != Self.absent {
      if visible[Int(table.parents[path])] != Self.isDirectory { visible[path] = Self.absent }
      if visible[path] >= 0 { files[Int(visible[path])].links += 1 }
    }
    durable = visible
    journal.clear()
    for f in files.indices { (files[f].logged, files[f].loggedData, files[f].stamped, files[f].cut) = (0, 0, nil, nil) }
  }

  /// A hash of what can be reached; equal to `CrashPoint.contentHash` of the state that was loaded.
  package var contentHash: UInt64 {
    var hash: UInt64 = 0
    for path in visible.indices.dropFirst() where visible[path] != Self.absent {
      if visible[path] == Self.isDirectory {
        hash &+= DiskHash.directory(table.hashes[path])
        continue
      }
      let file = files[Int(visible[path])]
      var sum: UInt64 = 0
      for (index, id) in file.sectors.enumerated() { sum &+= DiskHash.sector(hashOf(id), at: index) }
      hash &+= DiskHash.file(table.hashes[path], size: file.size, sectors: sum)
    }
    return hash
  }

  func hashOf(_ id: SectorID) -> UInt64 {
    id < Self.firstOwn ? store.hash(of: id) : SectorStore.hash(bytes(id))
  }
}
