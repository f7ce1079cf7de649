import Glibc
import LogModel
import Storage

/// The kinds of faults at the storage interface, as words.
public enum FaultKind: String, Hashable, Sendable, Codable, CaseIterable {
  case tornWrite = "torn-write"
  case bitFlip = "bit-flip"
  case shortWrite = "short-write"
  case shortRead = "short-read"
  case interrupted
  case tryAgain = "try-again"
  case ioError = "io-error"
  case permissionDenied = "permission-denied"
  case tooManyOpenFiles = "too-many-open-files"
  case fileTableFull = "file-table-full"
  case outOfKernelMemory = "out-of-kernel-memory"
  case staleHandle = "stale-handle"
  case timedOut = "timed-out"
  case notConnected = "not-connected"
  case noSpace = "no-space"
  case silentNoSpace = "silent-no-space"
  case quotaExceeded = "quota-exceeded"
  case syncFailure = "sync-failure"
  case lostWrite = "lost-write"
  case misdirectedWrite = "misdirected-write"
  case staleRead = "stale-read"
  case latentSectorError = "latent-sector-error"
  case stall
  case readOnly = "read-only"
  case crash
}

/// One edit of what passes the storage interface.
///
/// Sources: `man 2 write`, `man 2 fsync`, `man 2 open` (the errors and what they leave behind); Bairavasundaram et al.,
/// "An Analysis of Latent Sector Errors in Disk Drives", SIGMETRICS 2007, and "An Analysis of Data Corruption in the
/// Storage Stack", FAST 2008 (torn, lost and misdirected writes, bit corruption); Rebello et al., ATC 2020 (failed
/// syncs).
public enum StorageFault: Hashable, Sendable, Codable {
  /// A part of a write reaches the medium.
  case tornWrite(TornWrite)
  /// So many different bits turn over on their way, from 1: of what a write carries, or of what a read brings.
  case bitFlip(bits: Int, BytePlace = .anywhere)
  /// A write takes this many bytes, at least 1 and fewer than asked (rounded down to blocks for direct I/O), and says
  /// so; nil: the seed chooses. `man 2 write`.
  case shortWrite(taking: Int?)
  /// A read brings this many bytes, at least 1 and fewer than asked (rounded down to blocks for direct I/O), and says
  /// so; nil: the seed chooses. `man 2 read`.
  case shortRead(bringing: Int?)
  /// EINTR, and nothing has happened.
  case interrupted
  /// EAGAIN, and nothing has happened.
  case tryAgain
  /// EIO; nothing has happened, or, at the moment of completion, it has.
  case ioError
  /// EACCES.
  case permissionDenied
  /// EMFILE: the process has as many descriptors as it may. `man 2 open`.
  case tooManyOpenFiles
  /// ENFILE: the machine has as many open files as it may. `man 2 open`.
  case fileTableFull
  /// ENOMEM: the kernel finds no memory. `man 2 open`, `man 2 mkdir`.
  case outOfKernelMemory
  /// ESTALE: the server of a network file system no longer knows the file. `man 3 errno`.
  case staleHandle
  /// ETIMEDOUT, as of a soft mount of a network file system (`man 5 nfs`).
  case timedOut
  /// ENOTCONN, as of a FUSE file system whose server has died.
  case notConnected
  /// ENOSPC. A write that has room for its first bytes is short, and what follows it is refused. `man 2 write`.
  case noSpace
  /// A full disk that reports success and stores what there is room for.
  case silentNoSpace
  /// EDQUOT, as `noSpace`.
  case quotaExceeded
  case syncFailure(SyncFailure)
  /// Reports success and stores nothing.
  case lostWrite
  /// Reports success and stores the bytes elsewhere.
  case misdirectedWrite(Misdirection)
  /// A read brings what was there before the last write of each byte, as far as this storage has seen it written: zeros
  /// where the file ended.
  case staleRead
  /// A sector of the pass (see `BytePlace`) can no longer be read: EIO for every read that touches it, until a write
  /// covers it whole, or a truncation takes it away.
  case latentSectorError(BytePlace = .anywhere)
  /// The operation takes this much longer: before it is passed on, or before its end is told, by the trigger's moment.
  /// Nil: it never ends.
  case stall(Duration?)
  /// EROFS for this and every later change, as after a remount; reads go on. `man 2 open`, `man 2 write`.
  case readOnly
  /// The storage's crash handler is called at the trigger's moment, and nothing passes any more.
  case crash
}

extension StorageFault {
  public var kind: FaultKind {
    switch self {
    case .tornWrite: .tornWrite
    case .bitFlip: .bitFlip
    case .shortWrite: .shortWrite
    case .shortRead: .shortRead
    case .interrupted: .interrupted
    case .tryAgain: .tryAgain
    case .ioError: .ioError
    case .permissionDenied: .permissionDenied
    case .tooManyOpenFiles: .tooManyOpenFiles
    case .fileTableFull: .fileTableFull
    case .outOfKernelMemory: .outOfKernelMemory
    case .staleHandle: .staleHandle
    case .timedOut: .timedOut
    case .notConnected: .notConnected
    case .noSpace: .noSpace
    case .silentNoSpace: .silentNoSpace
    case .quotaExceeded: .quotaExceeded
    case .syncFailure: .syncFailure
    case .lostWrite: .lostWrite
    case .misdirectedWrite: .misdirectedWrite
    case .staleRead: .staleRead
    case .latentSectorError: .latentSectorError
    case .stall: .stall
    case .readOnly: .readOnly
    case .crash: .crash
    }
  }

  public var descriptor: StorageFaultDescriptor { .of(kind) }

  /// Whether the pass has what it takes, if it is of a kind that can be hit: bytes enough.
  func applies(to call: StorageCall) -> Bool {
    switch self {
    case .tornWrite, .silentNoSpace, .lostWrite, .misdirectedWrite, .staleRead: call.length > 0
    case .bitFlip(_, let place), .latentSectorError(let place): place.choose(in: call.length) != nil
    case .shortWrite, .shortRead: call.length > 1
    case .noSpace, .quotaExceeded:
      call.kind == .open
        ? OpenMode(rawValue: call.flags).contains(.create) : call.kind != .write || call.length > 0
    case .syncFailure: call.kind != .write || call.flags == WriteDurability.durable.rawValue
    default: true
    }
  }
}

extension StorageFaultDescriptor {
  /// Every kind, in the order of `docs/scenarios.md`.
  public static let all: [StorageFaultDescriptor] =
    writes + errors + machines + devices + [
      StorageFaultDescriptor(
        .crash, "the power goes; a scenario asks for it by the key `crash`", hits: .anythingButClosing, isWritten: false
      ) { _ in .crash }
    ]

  private static let writes = [
    StorageFaultDescriptor(
      .tornWrite, "a part of a write reaches the medium", hits: [.write], parameters: TornWrite.parameters,
      drawn: ["prefix", "any"].map {
        ["target": "batch", "kept": $0, "unit": "sector", "rest": "old", "answer": "error"]
      }, contradictions: TornWrite.contradictions
    ) { .tornWrite(TornWrite($0)) },
    StorageFaultDescriptor(
      .bitFlip, "bits turn over on their way", hits: [.read, .write], usually: [.write], decidesOutcome: false,
      isWritten: false
    ) { .bitFlip(bits: $0.integer("bits") ?? 1, BytePlace($0)) },
    StorageFaultDescriptor(
      .shortWrite, "a write takes fewer bytes than asked, and says so", hits: [.write],
      parameters: [.bytesOfWrite], drawn: [["target": "batch"]]
    ) { .shortWrite(taking: $0.integer("bytes")) },
    StorageFaultDescriptor(
      .shortRead, "a read brings fewer bytes than asked, and says so", hits: [.read],
      parameters: [.bytesOfWrite], drawn: [["phase": "recover", "every": "1", "times": "1000"]]
    ) { .shortRead(bringing: $0.integer("bytes")) },
  ]

  private static let errors = [
    StorageFaultDescriptor(
      .interrupted, "EINTR, and nothing has happened", hits: .anythingButClosing, usually: [.read, .write, .sync],
      // `man 2` of each operation.
      documented: [.open, .read, .write, .sync, .truncate, .lock, .syncDirectory], errno: EINTR, hasMoment: true,
      drawn: [["target": "batch", "on": "write", "every": "2", "times": "1000"]]
    ) { _ in .interrupted },
    StorageFaultDescriptor(
      .tryAgain, "EAGAIN, and nothing has happened", hits: .anythingButClosing, usually: [.read, .write],
      documented: [.read, .write, .lock], errno: EAGAIN, hasMoment: true
    ) { _ in .tryAgain },
    StorageFaultDescriptor(
      .ioError, "EIO; with `moment: completion` the operation has happened", hits: .anythingButClosing,
      usually: [.read, .write, .sync], errno: EIO, hasMoment: true,
      drawn: [
        ["target": "batch", "on": "write"], ["target": "batch", "on": "write", "moment": "completion"],
        ["target": "metadata", "on": "read", "phase": "recover"], ["target": "rotation", "on": "open"],
      ]
    ) { _ in .ioError },
    StorageFaultDescriptor(
      .permissionDenied, "EACCES", hits: .anythingButClosing, usually: [.open], errno: EACCES, hasMoment: true
    ) { _ in .permissionDenied },
    StorageFaultDescriptor(
      .noSpace, "ENOSPC; a write with room for its first bytes is short first", hits: .allocating, usually: [.write],
      errno: ENOSPC, drawn: [["target": "batch", "on": "write"]]
    ) { _ in .noSpace },
    StorageFaultDescriptor(
      .silentNoSpace, "a full disk that reports success and stores what there is room for", hits: [.write]
    ) { _ in .silentNoSpace },
    StorageFaultDescriptor(
      .quotaExceeded, "EDQUOT, otherwise as `no-space`", hits: .allocating, usually: [.write], errno: EDQUOT
    ) { _ in .quotaExceeded },
    StorageFaultDescriptor(
      .syncFailure, "a sync fails, in one of the ways of `how`", hits: [.sync, .syncDirectory, .write],
      usually: [.sync],
      parameters: [
        FaultParameter(
          "how", .word(SyncFailure.allCases.map(\.rawValue)),
          "EIO and the pages stay dirty; EIO and the pages count as clean (the default); success, and the next sync "
            + "says EIO"
        )
      ], drawn: [["target": "segment", "on": "sync", "how": "marks-clean"]]
    ) { .syncFailure($0["how"].flatMap { SyncFailure(rawValue: $0) } ?? .marksClean) },
  ]

  /// What the machine, or a file system of another machine, has run out of.
  private static let machines = [
    StorageFaultDescriptor(
      .tooManyOpenFiles, "EMFILE: the process has as many open files as it may", hits: .anythingButClosing,
      usually: [.open, .list], documented: [.open, .list], errno: EMFILE, hasMoment: true,
      drawn: [["target": "rotation", "on": "open", "times": "2"], ["on": "open", "phase": "recover"]]
    ) { _ in .tooManyOpenFiles },
    StorageFaultDescriptor(
      .fileTableFull, "ENFILE: the machine has as many open files as it may", hits: .anythingButClosing,
      usually: [.open, .list], documented: [.open, .list], errno: ENFILE, hasMoment: true
    ) { _ in .fileTableFull },
    StorageFaultDescriptor(
      .outOfKernelMemory, "ENOMEM: the kernel finds no memory", hits: .anythingButClosing,
      usually: [.open, .read, .write, .makeDirectory], errno: ENOMEM, hasMoment: true,
      drawn: [["target": "batch", "on": "write"]]
    ) { _ in .outOfKernelMemory },
    StorageFaultDescriptor(
      .staleHandle, "ESTALE: the server of a network file system no longer knows the file", hits: .anythingButClosing,
      usually: [.open, .read, .write, .sync], errno: ESTALE, hasMoment: true,
      drawn: [["target": "segment", "on": "sync"]]
    ) { _ in .staleHandle },
    StorageFaultDescriptor(
      .timedOut, "ETIMEDOUT: a network file system does not answer", hits: .anythingButClosing,
      usually: [.open, .read, .write, .sync], errno: ETIMEDOUT, hasMoment: true,
      drawn: [
        ["target": "batch", "on": "write"], ["target": "batch", "on": "write", "moment": "completion"],
        ["target": "segment", "on": "read", "phase": "recover"],
      ]
    ) { _ in .timedOut },
    StorageFaultDescriptor(
      .notConnected, "ENOTCONN: the server of a FUSE file system is gone", hits: .anythingButClosing,
      usually: [.open, .read, .write, .sync], errno: ENOTCONN, hasMoment: true
    ) { _ in .notConnected },
  ]

  private static let devices = [
    StorageFaultDescriptor(.lostWrite, "success is reported and nothing is stored", hits: [.write]) { _ in .lostWrite },
    StorageFaultDescriptor(
      .misdirectedWrite, "success is reported and the bytes land elsewhere in the file", hits: [.write],
      parameters: [
        FaultParameter("by", .size, "how many bytes away it lands; without it at a sector of the seed's choice")
      ]
    ) { .misdirectedWrite($0.integer("by").map { .sameFile(by: Int64($0)) } ?? .anywhere) },
    StorageFaultDescriptor(
      .staleRead,
      "a read brings what stood there before the last write of this life; not in the phases `open`, `create`, "
        + "`recover`",
      hits: [.read],
      contradictions: { words in
        // The lives before leave the storage no knowledge of what stood there.
        guard let phase = words["phase"], ["open", "create", "recover"].contains(phase) else { return [] }
        return [
          FaultContradiction(
            "phase",
            because:
              "it can never fire: it needs a write of the same life, and phase \(phase) reads what earlier lives wrote",
            remedy: "choose produce, verify or append")
        ]
      }
    ) { _ in .staleRead },
    StorageFaultDescriptor(
      .latentSectorError,
      "a sector can no longer be read: EIO until a write covers it whole, or a truncation takes it away",
      hits: [.read, .write]
    ) { _ in .latentSectorError() },
    StorageFaultDescriptor(
      .stall, "the operation takes `delay` longer", hits: .anythingButClosing, hasMoment: true, decidesOutcome: false,
      parameters: [.delay],
      contradictions: { words in
        // It would count as fired and hinder nobody.
        guard words.duration("delay") == .zero else { return [] }
        return [
          FaultContradiction("delay", because: "a delay of nothing is no stall", remedy: "say how long, like 10ms")
        ]
      }
    ) { .stall($0.duration("delay")) },
    StorageFaultDescriptor(
      .readOnly, "EROFS for this and every later change; reads go on", hits: .anythingButClosing,
      usually: [.write, .truncate, .makeDirectory, .rename, .unlink], errno: EROFS, isStanding: true
    ) { _ in .readOnly },
  ]
}

extension FaultParameter {
  fileprivate static let bytesOfWrite = FaultParameter(
    "bytes", .size, "bytes that are kept, taken or brought; without it the seed chooses")

  /// Of faults of the device and of the store.
  public static let delay = FaultParameter("delay", .duration, "how long; not 0", isRequired: true)
  public static let answer = FaultParameter(
    "answer", .word(["success", "error"]), "what the caller is told; `error` without it")
}

extension Set<OperationKind> {
  fileprivate static var anythingButClosing: Self { Set(OperationKind.allCases).subtracting([.close]) }

  /// `man 2 fsync`: where blocks are allocated late, it is the sync that finds none.
  fileprivate static var allocating: Self { [.write, .open, .makeDirectory, .rename, .sync, .syncDirectory] }
}

extension TornWrite {
  fileprivate static let parameters = [
    FaultParameter(
      "kept", .word(["prefix", "suffix", "any", "sectors"]),
      "which part of the write is kept; `any` is any set of units, `sectors` those of the parameter `sectors`"),
    FaultParameter("sectors", .numbers, "which sectors of 512 bytes of the write are kept: `0,2,5`"),
    FaultParameter(
      "unit", .word(["byte", "sector", "page"]), "at what boundary the write tears; `sector` without it"),
    FaultParameter.bytesOfWrite,
    FaultParameter(
      "rest", .word(Rest.allCases.map(\.rawValue)),
      "what stands in place of the rest: what was there (`old`, the default), zeros, or bytes of the seed's choice"),
    FaultParameter.answer,
  ]

  fileprivate init(_ words: FaultWords) {
    let unit: TearUnit =
      switch words["unit"] {
      case "byte": .byte
      case "page": .page
      default: .sector
      }
    let kept: Kept =
      switch (words["kept"] ?? "prefix", words.integer("bytes")) {
      case ("suffix", let n?): .suffix(n)
      case ("suffix", nil): .suffixFrom(unit)
      case ("any", _): .anyOf(unit)
      case ("sectors", _): .sectors(words.numbers("sectors"))
      case (_, let n?): .prefix(n)
      default: .prefixTo(unit)
      }
    self.init(
      kept: kept, rest: words["rest"].flatMap { Rest(rawValue: $0) } ?? .old,
      answer: words["answer"].flatMap { Answer(rawValue: $0) } ?? .error)
  }

  @Sendable fileprivate static func contradictions(_ words: FaultWords) -> [FaultContradiction] {
    let kept = words["kept"] ?? "prefix"
    var found: [FaultContradiction] = []
    func add(_ name: String, _ because: String, _ remedy: String) {
      found.append(FaultContradiction(name, because: because, remedy: remedy))
    }
    if kept == "sectors", words["sectors"] == nil {
      add("kept", "it does not say which sectors", "add sectors: numbers from 0, like 0,2,5")
    }
    if kept != "sectors", words["sectors"] != nil {
      add("sectors", "kept is \(kept)", "say kept: sectors, or remove sectors")
    }
    if words["bytes"] != nil, kept != "prefix", kept != "suffix" {
      add("bytes", "kept is \(kept)", "say kept: prefix or kept: suffix, or remove bytes")
    }
    if words["unit"] != nil, words["bytes"] != nil || kept == "sectors" {
      add("unit", "where it is torn has been said to the byte", "remove unit")
    }
    return found
  }
}

extension BytePlace {
  /// Where in a pass a flip hits: in a batch itself where batches are the target, not in the padding behind them, and
  /// in the first copy of a segment's head, not in the zeros behind it.
  fileprivate init(_ words: FaultWords) {
    let edge = words["edge"].flatMap { PartEdge(rawValue: $0) }
    if words["target"] == FaultTarget.segmentHead.rawValue {
      self = .range(edge?.of(0..<512) ?? 0..<512)
    } else if let part = words["target"].flatMap({ BatchPart(rawValue: $0) }) {
      self = edge.map { .edge(part, $0) } ?? .part(part)
    } else {
      self = .anywhere
    }
  }
}
