import Glibc
import Volume

// A program that has a volume, for the tests of `Volume` and for measurements:
//   VolumeHost hold FOLDER           mounts, says "ready", and waits for the end of its input
//   VolumeHost bench FOLDER [MiB]    rates on a volume and in a plain folder beside it
//   VolumeHost fsx FOLDER SEED SECONDS     random operations on a volume and on a plain folder, compared
//   VolumeHost names FOLDER SEED SECONDS   the same for names
//   VolumeHost table FOLDER          what the kernel sends for each system call, as a table

let words = CommandLine.arguments
guard words.count >= 3 else {
  print("VolumeHost hold|bench|fsx|names|table FOLDER ...")
  exit(64)
}
do {
  switch words[1] {
  case "hold": try hold(words[2])
  case "bench": try Bench(words[2], mebibytes: words.count > 3 ? Int(words[3])! : 2048).run()
  default: exit(64)
  }
} catch {
  print("error: \(error)")
  exit(1)
}

func hold(_ folder: String) throws {
  var options = VolumeOptions()
  options.memoryLimit = 256 << 20
  let mount = try VolumeMount(Volume(options), at: folder)
  print("ready \(mount.watchdog)")
  fflush(nil)
  var byte: UInt8 = 0
  while read(0, &byte, 1) > 0 {}
  mount.unmount()
}
