import CrashStates
import LogModel
import Volume

/// What a program asks of a state that it is served, as the kernel asks the volume for it.
///
/// The kernel asks once, and answers from its memory then. It reads more than the program does, and a look-up brings
/// all attributes: so these are questions too many, and none too few. What the program has made or written itself
/// follows from the answers before.
struct StateQuestions {
  private let recorded: VolumeRecording
  /// By the inode that serves it, the path of a directory, or the first path of a file.
  private let places: [UInt64: Int32]
  private(set) var questions: [DiskQuestion] = []
  private var asked: Set<DiskQuestion> = []

  init(_ recorded: VolumeRecording, _ places: [UInt64: Int32]) {
    (self.recorded, self.places) = (recorded, places)
    ask(.node(PathTable.root))
  }

  private mutating func ask(_ question: DiskQuestion) {
    if asked.insert(question).inserted { questions.append(question) }
  }

  private mutating func name(_ directory: UInt64, _ name: [UInt8]) {
    guard let path = path(directory, name) else { return }
    ask(.node(path))
  }

  /// Nil for what no state has: in a directory that the program has made, or a name that the recording does not know.
  private func path(_ directory: UInt64, _ name: [UInt8]) -> Int32? {
    guard let parent = places[directory] else { return nil }
    let table = recorded.recording.table
    let folder = table.paths[Int(parent)]
    let text = VolumeRecording.text(name)
    return table.find(folder.isEmpty ? text : folder + "/" + text)
  }

  /// - Parameter operation: of the volume that serves the state, since that was put in place.
  mutating func take(_ operation: VolumeOperation) {
    let place = places[operation.inode]
    switch operation.kind {
    case .lookup, .create, .makeDirectory, .makeNode, .symlink, .unlink, .removeDirectory, .link, .rename, .exchange:
      for (directory, name) in [
        (operation.directory, operation.name), (operation.newDirectory, operation.newName),
      ] where directory != 0 {
        self.name(directory, name)
        // Whether a directory is empty decides about its removal, and about what is renamed to its name.
        if operation.kind != .lookup, let path = path(directory, name) { ask(.names(path)) }
      }
      if let place { ask(.node(place)) }
    case .list: if let place { ask(.names(place)) }
    case .status, .open, .readLink, .readAttribute, .setMode, .setOwner, .write, .truncate, .allocate, .punchHole,
      .zeroRange:
      if let place { ask(.node(place)) }
    case .read, .seek:
      guard let place else { return }
      ask(.node(place))
      let size = UInt64(SectorStore.size)
      // Where the holes are, all of the content tells.
      let (first, end) =
        operation.kind == .seek
        ? (0, UInt64(Int32.max)) : (operation.offset / size, (operation.offset + operation.length + size - 1) / size)
      // One question for each page: reads of other lengths meet in them.
      let perPage = UInt64(4096) / size
      if operation.kind == .seek {
        ask(.sectors(place, first: 0, count: Int32(end)))
      } else {
        for page in first / perPage..<max(first / perPage + 1, (end + perPage - 1) / perPage) {
          ask(.sectors(place, first: Int32(page * perPage), count: Int32(perPage)))
        }
      }
    case .room: ask(.everything)
    case .createUnnamed, .setTimes, .setAttribute, .removeAttribute, .sync, .syncWritten, .syncDirectory, .syncAll,
      .flush, .release, .mark:
      break
    }
  }
}

extension StateServer {
  /// What the program that is served has asked of the state so far, in order.
  package func questions(of recorded: VolumeRecording) -> [DiskQuestion] {
    var questions = StateQuestions(recorded, places)
    for operation in volume.trace.operations(from: prepared) { questions.take(operation) }
    return questions.questions
  }

  /// What a state answers.
  package static func answers(_ image: DiskImage, of recorded: VolumeRecording) -> ImageAnswers {
    let directories = recorded.directoryOwners
    return ImageAnswers(image, recorded.recording) { node, path in
      let owner: VolumeOwner? =
        switch node {
        case .file(let file): recorded.owners[file]
        case .directory: path == PathTable.root ? recorded.owners[InodeTable.root] : directories[path]
        }
      guard let owner else { return 0 }
      return mix64(UInt64(owner.mode) << 32 | UInt64(owner.user)) ^ mix64(UInt64(owner.group) | 1 << 62)
    }
  }
}
