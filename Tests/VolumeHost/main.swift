import Glibc
import Volume
import VolumeWorkloads

// A program that has a volume, for the tests of `Volume` and for measurements:
//   VolumeHost hold FOLDER           mounts, says "ready", and waits for the end of its input
//   VolumeHost stuck FOLDER          as hold, and waits for an answer of its own volume that never comes
//   VolumeHost bench FOLDER [MiB]    rates on a volume and in a plain folder beside it
//   VolumeHost fsx FOLDER SEED SECONDS     random operations on a volume and on a plain folder, compared
//   VolumeHost names FOLDER SEED SECONDS   the same for names
//   VolumeHost table FOLDER          what the kernel sends for each system call, as a table

// Whoever starts it may have signals blocked, which a new program inherits.
var none = sigset_t()
sigemptyset(&none)
pthread_sigmask(SIG_SETMASK, &none, nil)
let words = CommandLine.arguments
guard words.count >= 3 else {
  print("VolumeHost hold|stuck|bench|fsx|names|table FOLDER ...")
  exit(64)
}
do {
  switch words[1] {
  case "hold", "stuck": try hold(words[2], isStuck: words[1] == "stuck")
  case "bench": try Bench(words[2], mebibytes: words.count > 3 ? Int(words[3])! : 2048).run()
  case "fsx", "names": try fuzz(words[1], words[2], seed: UInt64(words[3])!, seconds: Double(words[4])!)
  case "table": try CallTable(words[2]).print()
  default: exit(64)
  }
} catch {
  print("error: \(error)")
  exit(1)
}

func hold(_ folder: String, isStuck: Bool) throws {
  var options = VolumeOptions()
  options.memoryLimit = 256 << 20
  let mount = try VolumeMount(Volume(options), at: folder)
  print("ready \(mount.watchdog)")
  fflush(nil)
  if isStuck {
    mount.volume.setDecider { $0.kind == .makeDirectory ? .delayed(nanoseconds: .max, then: .proceed) : .proceed }
    mkdir(folder + "/never", 0o755)
  }
  var byte: UInt8 = 0
  while read(0, &byte, 1) > 0 {}
  mount.unmount()
}

/// Seed after seed, until time is up.
func fuzz(_ what: String, _ folder: String, seed: UInt64, seconds: Double) throws {
  let plain = folder + "/plain"
  mkdir(plain, 0o755)
  defer { rmdir(plain) }
  let end = time(nil) + Int(seconds)
  var (seed, total) = (seed, 0)
  while time(nil) < end {
    var options = VolumeOptions()
    options.memoryLimit = 64 << 20
    options.spillFolder = folder
    let mount = try VolumeMount(Volume(options), at: folder + "/volume")
    do {
      if what == "fsx" {
        var fuzz = FileFuzz(volume: mount.folder, trusted: plain, seed: seed)
        try fuzz.run(2000)
        total += fuzz.count
      } else {
        var fuzz = NameFuzz(volume: mount.folder, trusted: plain, seed: seed)
        try fuzz.run(3000)
        total += fuzz.count
      }
    } catch {
      print("seed \(seed): \(error)")
      mount.unmount()
      exit(1)
    }
    mount.unmount()
    seed += 1
  }
  print("\(what): \(total) operations, up to seed \(seed - 1), no difference")
}
