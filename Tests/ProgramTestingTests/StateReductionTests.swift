import CrashStates
import Foundation
import Glibc
import LogModel
import ProgramTesting
import Testing
import Volume
import Verification
import VolumeStates

/// States that differ in nothing that a program asks for are one: held against opening every state, with programs that
/// the seed draws.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")")) struct StateReductionTests {
  /// A few files, as a program leaves them, with much that is not durable.
  private func recorded(_ scratch: Scratch, seed: UInt64) throws -> VolumeRecording {
    var random = SeededGenerator(seed: seed, stream: "files")
    let volume = Volume()
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    let folder = mount.folder
    let names = ["a", "b", "inner/c", "inner/d"]
    mkdir(folder + "/inner", 0o755)
    for _ in 0..<10 {
      let path = folder + "/" + names.randomElement(using: &random)!
      switch Int.random(in: 0..<8, using: &random) {
      case 0: rename(path, folder + "/" + names.randomElement(using: &random)!)
      case 1: unlink(path)
      case 2: link(path, folder + "/linked")
      case 3: symlink("inner/c", folder + "/symbolic")
      default:
        let file = open(path, O_RDWR | O_CREAT, 0o644)
        let bytes = [UInt8](repeating: UInt8.random(in: 1...255, using: &random), count: 600)
        pwrite(file, bytes, bytes.count, Int.random(in: 0..<4, using: &random) * 4096)
        if Bool.random(using: &random) { fsync(file) }
        close(file)
      }
    }
    mount.unmount()
    return VolumeRecording(volume.trace)
  }

  /// A program that the seed draws: what it does next depends on what it has seen.
  /// - Returns: a number of all that it saw.
  private func run(in folder: String, seed: UInt64) -> UInt64 {
    var seen = seed
    let names = ["a", "b", "inner", "inner/c", "inner/d", "linked", "symbolic", "absent"]
    for _ in 0..<5 {
      let path = folder + "/" + names[Int(seen % UInt64(names.count))]
      switch seen >> 8 % 5 {
      case 0:
        var status = stat()
        let code = lstat(path, &status)
        seen = mix64(seen ^ (code == 0 ? UInt64(status.st_size) << 8 | UInt64(status.st_nlink) : 1))
      case 1, 2:
        let file = open(path, O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 700)
        let count = pread(file, &bytes, bytes.count, Int(seen >> 16 % 4) * 4096)
        if file >= 0 { close(file) }
        seen = mix64(seen ^ UInt64(bitPattern: Int64(count)) ^ stableHash(String(decoding: bytes, as: UTF8.self)))
      case 3:
        let listed = (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
        seen = mix64(seen ^ stableHash(listed.joined(separator: "/")))
      default:
        // It leaves something behind, which changes what comes after.
        let code = rename(path, folder + "/b")
        seen = mix64(seen ^ UInt64(bitPattern: Int64(code)))
      }
    }
    return seen
  }

  private struct Outcome {
    var states = 0
    var alike = 0
    var wrong = 0
  }

  private func compare(seeds: Range<UInt64>, omitting omitted: DiskQuestion.Kind? = nil) throws -> Outcome {
    var outcome = Outcome()
    let scratch = Scratch()
    let server = try StateServer(at: scratch.path + "/states")
    for seed in seeds {
      let recorded = try recorded(scratch, seed: seed)
      let known = BehaviourCache(omitting: omitted)
      var walk = CrashPointWalk(recorded.recording, .posixMinimal, seed: 3)
      var contents: Set<UInt64> = []
      for event in stride(from: 2, through: recorded.recording.events.count, by: 4) {
        let point = walk.point(at: event)
        var images: [DiskImage] = []
        StateEnumeration(point, StateEnumeration.Limits(bound: 2, statesPerPoint: 32, samples: 0)).forEach(seed: 1) {
          choice, _ in
          if contents.insert(point.contentHash(choice)).inserted { images.append(point.image(choice)) }
        }
        for image in images {
          let answers = StateServer.answers(image, of: recorded)
          let found = known.find(answers.answer)
          let seen = run(in: try server.load(image, of: recorded), seed: seed)
          outcome.states += 1
          if let found {
            outcome.alike += 1
            if found.behaviour != seen { outcome.wrong += 1 }
          } else {
            _ = known.add(server.questions(of: recorded), answers.answer, seen)
          }
        }
      }
    }
    return outcome
  }

  @Test func statesThatAreLeftOutAreReadAlike() throws {
    let outcome = try compare(seeds: 1..<7)
    #expect(outcome.wrong == 0 && outcome.alike > outcome.states / 5, "\(outcome)")
  }

  /// A question that is left out makes one of states that differ.
  @Test(arguments: [DiskQuestion.Kind.node, .names, .sectors])
  func aQuestionThatIsLeftOutIsFound(kind: DiskQuestion.Kind) throws {
    let outcome = try compare(seeds: 1..<7, omitting: kind)
    #expect(outcome.wrong > 0, "\(kind): \(outcome)")
  }

  /// Free space tells of everything, and so does a search for holes of a whole file.
  @Test(arguments: [true, false]) func whatTellsOfAllIsAskedForAll(_ isSpace: Bool) throws {
    let scratch = Scratch()
    let server = try StateServer(at: scratch.path + "/states")
    let recorded = try recorded(scratch, seed: 2)
    var walk = CrashPointWalk(recorded.recording, .posixMinimal, seed: 3)
    let point = walk.point(at: recorded.recording.events.count)
    let folder = try server.load(point.image(point.everything), of: recorded)
    if isSpace {
      var room = statvfs()
      statvfs(folder, &room)
      #expect(server.questions(of: recorded).contains(.everything))
    } else {
      let name = try #require(["a", "b", "inner/c", "inner/d"].first { access(folder + "/" + $0, F_OK) == 0 })
      let file = open(folder + "/" + name, O_RDONLY)
      lseek(file, 0, 4)
      close(file)
      #expect(
        server.questions(of: recorded).contains {
          if case .sectors(_, 0, .max) = $0 { true } else { false }
        })
    }
  }

  /// A program that draws numbers reads otherwise where nothing differs. That is found, and every state is opened then;
  /// of one that does not, those are left out that differ in what it never reads.
  @Test func aProgramThatReadsOtherwiseIsOpenedOnEachState() throws {
    func report(_ how: String) throws -> ProgramReport {
      var options = Programs.options([.ext4Ordered], seconds: 60)
      (options.kills, options.faults, options.secondLives, options.mostPieces) = (0, 0, 0, 0)
      var spec = Programs.misbehaving(how)
      spec.requests = 6
      return try Programs.test(spec, options)
    }
    let (same, other) = (try report("keeps-notes"), try report("keeps-notes-and-draws-positions"))
    #expect(same.verdict == .held && other.verdict == .held)
    #expect(same.alike > 0 && other.alike == 0)
    #expect(other.opened == same.opened + same.alike, "\(other.opened), \(same.opened), \(same.alike)")
  }
}
