import CVolumeCalls
import Glibc

/// Random operations on names, links and attributes, in two places.
package struct NameFuzz {
  private var sides: SideBySide
  private var dice: Dice
  private let folder: String
  /// Operations so far.
  package private(set) var count = 0

  package init(volume: String, trusted: String, seed: UInt64) {
    sides = SideBySide(volume: volume, trusted: trusted)
    dice = Dice(seed)
    folder = "/names-\(seed)"
  }

  /// Makes so many operations; compares the trees after every few, and at the end, and removes them.
  package mutating func run(_ operations: Int) throws(Difference) {
    let folder = folder
    try sides.both("mkdir") { answer(mkdir($0 + folder, 0o755)) }
    for step in 1...operations {
      try operate()
      if step % 100 == 0 { try compare() }
      count += 1
    }
    try compare()
    for place in [sides.volume, sides.trusted] { Self.remove(place + folder) }
    try sides.both("rmdir") { answer(rmdir($0 + folder)) }
  }

  /// A path of up to three parts out of few, so that they meet.
  private mutating func path() -> String {
    var path = folder
    for _ in 0...dice(3) { path += "/" + ["a", "b", "c", "d", "ü"][dice(5)] }
    return dice(60) == 0 ? folder + "/" + String(repeating: "x", count: 250 + dice(10)) : path
  }

  private mutating func operate() throws(Difference) {
    let (one, two) = (path(), path())
    let mode = mode_t([0o755, 0o700, 0o2775, 0o1777][dice(4)])
    switch dice(22) {
    case 0...2: try sides.both("mkdir \(one)") { answer(mkdir($0 + one, mode)) }
    case 3: try sides.both("rmdir \(one)") { answer(rmdir($0 + one)) }
    case 4...6: try create(one, [0, O_EXCL, O_TRUNC][dice(3)])
    case 7, 8: try sides.both("unlink \(one)") { answer(unlink($0 + one)) }
    case 9...12:
      let flags = UInt32([0, 0, 0, 1, 2, 3][dice(6)])
      try sides.both("rename \(one) to \(two), \(flags)") { -Answer(tl_rename($0 + one, $0 + two, flags)) }
    case 13, 14: try sides.both("link \(one) to \(two)") { answer(link($0 + one, $0 + two)) }
    case 15:
      let target = ["a", "b/c", "nowhere", String(repeating: "t", count: 100)][dice(4)]
      try sides.both("symlink \(one) to \(target)") { answer(symlink(target, $0 + one)) }
    case 16: try sides.both("mkfifo \(one)") { answer(mkfifo($0 + one, 0o600)) }
    case 17: try sides.both("chmod \(one) \(mode)") { answer(chmod($0 + one, mode)) }
    case 18:
      let id = UInt32(dice(3) * 1000)
      try sides.both("lchown \(one) \(id)") { answer(lchown($0 + one, id, id)) }
    case 19: try attribute(one)
    case 20: try sides.both("rmdir and unlink \(one)/.") { answer(rmdir($0 + one + "/.")) }
    default:
      try sides.both("truncate \(one)") { answer(truncate($0 + one, 100)) }
    }
  }

  private mutating func create(_ path: String, _ flags: Int32) throws(Difference) {
    // A fifo would wait for a reader.
    try sides.both("create \(path) \(flags)") { place in
      let file = open(place + path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | flags, 0o4644)
      if file < 0 { return answer(file) }
      defer { close(file) }
      return answer(Glibc.write(file, path, 1))
    }
  }

  private mutating func attribute(_ path: String) throws(Difference) {
    let name = ["user.one", "user.two", "trusted.three"][dice(3)]
    let flags = Int32(dice(3))
    switch dice(3) {
    case 0: try sides.both("setxattr \(path) \(name) \(flags)") { tl_set_attribute($0 + path, name, path, flags) }
    case 1: try sides.both("removexattr \(path) \(name)") { tl_remove_attribute($0 + path, name) }
    default:
      let size = [0, 3, 100][dice(3)]
      var values: [[CChar]] = []
      try sides.both("getxattr \(path) \(name) \(size)") { place in
        var value = [CChar](repeating: 0, count: 100)
        let got = tl_get_attribute(place + path, name, &value, size)
        values.append(value)
        return got
      }
      if values[0] != values[1] { throw sides.difference("has another value") }
    }
  }

  // MARK: Trees

  private mutating func compare() throws(Difference) {
    let (one, two) = (Self.tree(sides.volume + folder), Self.tree(sides.trusted + folder))
    guard one != two else { return }
    for (left, right) in zip(one + ["nothing"], two + ["nothing"]) where left != right {
      throw sides.difference("has \(left), and not \(right)")
    }
  }

  /// A line for each name below a folder, in the order of names.
  private static func tree(_ folder: String, _ path: String = "") -> [String] {
    guard let listing = opendir(folder + path) else { return ["\(path): not readable, \(errno)"] }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    closedir(listing)
    var lines: [String] = []
    for name in names.sorted() {
      let inner = path + "/" + name
      var status = stat()
      lstat(folder + inner, &status)
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      var target = [CChar](repeating: 0, count: 200)
      readlink(folder + inner, &target, 199)
      lines.append(
        "\(inner): mode \(String(status.st_mode, radix: 8)), \(status.st_nlink) links, "
          + "\(isFolder ? 0 : Int(status.st_size)) bytes, "
          + "user \(status.st_uid):\(status.st_gid), target \(target.filter { $0 != 0 }.count)")
      if isFolder { lines += tree(folder, inner) }
    }
    return lines
  }

  private static func remove(_ folder: String) {
    guard let listing = opendir(folder) else { return }
    defer { closedir(listing) }
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      let path = folder + "/" + name
      if unlink(path) != 0 {
        remove(path)
        rmdir(path)
      }
    }
  }
}
