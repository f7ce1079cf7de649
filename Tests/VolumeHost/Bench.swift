import Glibc
import Volume

/// Rates of the same calls on a volume that records, and in a plain folder beside it, in turns.
struct Bench {
  let folder: String
  let mebibytes: Int

  init(_ folder: String, mebibytes: Int) {
    self.folder = folder
    self.mebibytes = mebibytes
  }

  func run() throws {
    let plain = folder + "/plain"
    mkdir(plain, 0o755)
    defer { rmdir(plain) }
    for round in 1...3 {
      let begun = now()
      var options = VolumeOptions()
      options.memoryLimit = 4 << 30
      options.preparedMemory = 2 << 30
      let volume = Volume(options)
      print("         \(options.preparedMemory >> 20) MiB made ready in \(tenths(now() - begun)) s")
      let mount = try VolumeMount(volume, at: folder + "/volume")
      for (name, place) in [("volume", mount.folder), ("plain ", plain)] {
        let small = rate(place, size: 1024, seconds: 2, syncs: true)
        let large = rate(place, size: 65536, seconds: 1, syncs: false)
        print(
          "round \(round) \(name): 1 KiB pwrite + fdatasync \(Int(small)) a second; "
            + "64 KiB pwrite \(tenths(large * 65536 / 1e9)) GB/s")
      }
      print("         trace: \(volume.trace.count) operations, \(volume.usage)")
      mount.unmount()
    }
    try memory()
  }

  private func tenths(_ value: Double) -> Double { (value * 100).rounded() / 100 }

  private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Calls a second: appends in a file of at most 256 MiB, then from its start again.
  private func rate(_ place: String, size: Int, seconds: Double, syncs: Bool) -> Double {
    let path = place + "/bench-\(size)"
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
    precondition(file >= 0)
    defer {
      close(file)
      unlink(path)
    }
    let bytes = [UInt8](repeating: 0x61, count: size)
    var calls = 0
    let start = now()
    while calls % 64 != 0 || now() - start < seconds {
      precondition(pwrite(file, bytes, size, off_t(calls * size % (256 << 20))) == size)
      if syncs { precondition(fdatasync(file) == 0) }
      calls += 1
    }
    return Double(calls) / (now() - start)
  }

  /// Writes much, in pieces of 64 KiB, and says what the process holds.
  private func memory() throws {
    for limit in [1 << 30, 4 << 30] {
      var options = VolumeOptions()
      options.memoryLimit = limit
      options.spillFolder = folder
      let volume = Volume(options)
      let mount = try VolumeMount(volume, at: folder + "/volume")
      let bytes = [UInt8](repeating: 0x62, count: 65536)
      let start = now()
      for part in 0..<(mebibytes / 256) {
        let file = open(mount.folder + "/part-\(part)", O_RDWR | O_CREAT, 0o644)
        for piece in 0..<4096 { precondition(pwrite(file, bytes, 65536, off_t(piece * 65536)) == 65536) }
        close(file)
      }
      let seconds = now() - start
      print(
        "\(mebibytes) MiB with a limit of \(limit >> 20) MiB: \(tenths(Double(mebibytes) / 1024 / seconds)) GiB/s, "
          + "\(status())\n  \(volume.usage)")
      mount.unmount()
    }
  }

  /// `man 5 proc`, /proc/PID/status: memory of the process by kind.
  private func status() -> String {
    guard let file = fopen("/proc/self/status", "re") else { return "" }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var found: [String] = []
    while getline(&line, &capacity, file) > 0 {
      let text = String(cString: line!)
      if text.hasPrefix("RssAnon") || text.hasPrefix("RssFile") || text.hasPrefix("VmHWM") {
        found.append(text.split { $0 == " " || $0 == "\t" || $0 == "\n" }.joined(separator: " "))
      }
    }
    return found.joined(separator: ", ")
  }
}
