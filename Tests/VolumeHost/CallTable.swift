import CVolumeCalls
import Glibc
import Volume

/// Makes system calls in a volume, one after the other, and says what of each reached the volume: rows of a table for
/// `docs/volume.md`.
struct CallTable {
  private let folder: String
  private let volume: Volume
  private let mount: VolumeMount
  private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)

  init(_ folder: String) throws {
    self.folder = folder
    var options = VolumeOptions()
    options.recordsReads = true
    volume = Volume(options)
    mount = try VolumeMount(volume, at: folder + "/volume")
    memset(bytes.baseAddress!, 0x61, bytes.count)
  }

  private func path(_ name: String) -> String { mount.folder + "/" + name }

  func print() {
    Swift.print("| call | answer | what the volume is asked |\n| --- | --- | --- |")
    writes()
    syncs()
    direct()
    mapped()
    ranges()
    names()
    others()
    mount.unmount()
  }

  /// A row.
  private func row(_ text: String, _ call: () -> Int64) {
    // What the kernel sends late, releases and what it reads ahead, is not of this row.
    usleep(3000)
    let before = volume.trace.count
    errno = 0
    let result = call()
    let answer = result < 0 ? String(cString: strerror(Int32(-result))) : "\(result)"
    let asked = volume.trace.operations[before...].map(describe).joined(separator: ", ")
    Swift.print("| \(text) | \(answer) | \(asked.isEmpty ? "**nothing**" : asked) |")
  }

  private func describe(_ operation: VolumeOperation) -> String {
    var text = "\(operation.kind)"
    switch operation.kind {
    case .write, .read, .allocate, .punchHole, .zeroRange, .syncWritten:
      text += " \(operation.offset)+\(operation.length)"
    case .truncate: text += " to \(operation.length)"
    default: break
    }
    let words: [(VolumeOperationFlags, String)] = [
      (.synchronous, "O_SYNC"), (.direct, "O_DIRECT"), (.dataOnly, "data only"), (.writeBack, "write-back"),
      (.copied, "copied"), (.opening, "O_TRUNC"),
    ]
    var flags = words.filter { operation.flags.contains($0.0) }.map(\.1)
    if operation.flags.contains(.dataSynchronous), !operation.flags.contains(.synchronous) { flags.append("O_DSYNC") }
    if operation.durableBy != nil {
      flags.append(operation.durableBy == operation.sequence ? "durable" : "durable by the next")
    }
    if !flags.isEmpty { text += " (\(flags.joined(separator: ", ")))" }
    if operation.error != 0 { text += " = \(String(cString: strerror(operation.error)))" }
    return text
  }

  private func answer<Number: SignedInteger>(_ result: Number) -> Int64 { result < 0 ? -Int64(errno) : Int64(result) }

  private func opened(_ name: String, _ flags: Int32) -> Int32 { open(path(name), flags | O_CLOEXEC, 0o644) }

  private func writes() {
    row("`open` with O_CREAT of a new file") { answer(min(0, opened("a", O_RDWR | O_CREAT))) }
    let file = opened("a", O_RDWR)
    defer { close(file) }
    row("`pwrite` of 1 KiB") { answer(pwrite(file, bytes.baseAddress!, 1024, 0)) }
    row("`pwrite` of 1 KiB, again") { answer(pwrite(file, bytes.baseAddress!, 1024, 0)) }
    row("`pwrite` of 1 MiB") { answer(pwrite(file, bytes.baseAddress!, 1 << 20, 0)) }
    row("`pwrite` of 1 MiB at 100") { answer(pwrite(file, bytes.baseAddress!, 1 << 20, 100)) }
    row("`pwritev` of three pieces") { tl_write_pieces(file, bytes.baseAddress!, 6000, 0, 0) }
    row("`pwritev2` with RWF_DSYNC") { tl_write_pieces(file, bytes.baseAddress!, 6000, 0, 1) }
    row("`pwritev2` with RWF_SYNC") { tl_write_pieces(file, bytes.baseAddress!, 6000, 0, 2) }
    for (name, flag) in [("O_DSYNC", O_DSYNC), ("O_SYNC", O_SYNC)] {
      let synchronous = opened("a", O_RDWR | flag)
      row("`pwrite` on a descriptor with \(name)") { answer(pwrite(synchronous, bytes.baseAddress!, 1024, 0)) }
      row("`fdatasync` of it") { answer(fdatasync(synchronous)) }
      row("`pwrite` of 1 MiB at 100 on it") { answer(pwrite(synchronous, bytes.baseAddress!, 1 << 20, 100)) }
      close(synchronous)
    }
    let appending = opened("a", O_WRONLY | O_APPEND)
    row("`write` with O_APPEND") { answer(write(appending, bytes.baseAddress!, 10)) }
    close(appending)
    row("`pread` of what is cached") { answer(pread(file, bytes.baseAddress!, 4096, 0)) }
    row("`posix_fadvise` DONTNEED, then `pread`") {
      _ = tl_advise_drop(file)
      return answer(pread(file, bytes.baseAddress!, 4096, 0))
    }
  }

  private func syncs() {
    let file = opened("a", O_RDWR)
    row("`fsync`") { answer(fsync(file)) }
    row("`fdatasync`") { answer(fdatasync(file)) }
    row("`sync_file_range`") { tl_sync_range(file) }
    row("`syncfs`") { tl_sync_file_system(file) }
    row("`sync`") {
      sync()
      return 0
    }
    let folder = open(mount.folder, O_RDONLY | O_DIRECTORY)
    row("`fsync` of a directory") { answer(fsync(folder)) }
    row("`fdatasync` of a directory") { answer(fdatasync(folder)) }
    close(folder)
    row("`close`") { answer(close(file)) }
  }

  private func direct() {
    let file = Int32(tl_open_direct(path("a"), O_RDWR))
    row("`pwrite` of 4 KiB, O_DIRECT") { answer(pwrite(file, bytes.baseAddress!, 4096, 0)) }
    row("`pwrite` of 100 bytes at 7, O_DIRECT") { answer(pwrite(file, bytes.baseAddress!, 100, 7)) }
    row("`pread` of 4 KiB, O_DIRECT") { answer(pread(file, bytes.baseAddress!, 4096, 0)) }
    row("libaio: a write of 4 KiB, O_DIRECT") { tl_aio_write(file, bytes.baseAddress!, 4096, 0) }
    row("libaio: a write of 8 KiB at 4 KiB, O_DIRECT") { tl_aio_write(file, bytes.baseAddress!, 8192, 4096) }
    row("libaio: fdsync") { tl_aio_sync(file) }
    close(file)
    let synchronous = Int32(tl_open_direct(path("a"), O_RDWR | O_DSYNC))
    row("`pwrite` of 4 KiB, O_DIRECT and O_DSYNC") { answer(pwrite(synchronous, bytes.baseAddress!, 4096, 0)) }
    row("libaio: a write of 4 KiB, O_DIRECT and O_DSYNC") { tl_aio_write(synchronous, bytes.baseAddress!, 4096, 0) }
    row("libaio: a write that grows the file, O_DIRECT and O_DSYNC") {
      tl_aio_write(synchronous, bytes.baseAddress!, 4096, 4 << 20)
    }
    row("`fdatasync` after it") { answer(fdatasync(synchronous)) }
    row("libaio: a write of 4 KiB, O_DIRECT and O_DSYNC; `fdatasync`") {
      _ = tl_aio_write(synchronous, bytes.baseAddress!, 4096, 0)
      return answer(fdatasync(synchronous))
    }
    close(synchronous)
    let ring = RingCalls()
    guard let ring else { return }
    let plain = opened("a", O_RDWR)
    row("io_uring: a write of 4 KiB") { ring.write(plain, bytes, 4096, 0, dsync: false) }
    row("io_uring: a write of 4 KiB, RWF_DSYNC") { ring.write(plain, bytes, 4096, 0, dsync: true) }
    row("io_uring: fdatasync") { ring.sync(plain) }
    close(plain)
    let both = Int32(tl_open_direct(path("a"), O_RDWR | O_DSYNC))
    row("io_uring: a write of 4 KiB, O_DIRECT and O_DSYNC") { ring.write(both, bytes, 4096, 0, dsync: false) }
    close(both)
  }

  private func mapped() {
    let file = opened("a", O_RDWR)
    var mapping: Int64 = 0
    row("three stores in a shared mapping") {
      mapping = tl_store_and_stay(file, 1 << 20, [1, 5000, 100_000], 3, 1)
      return min(0, mapping)
    }
    row("`fdatasync` then") { answer(fdatasync(file)) }
    row("a store, `msync` MS_ASYNC, `munmap`") { tl_store_mapped(file, 1 << 20, [1], 1, 2, 2) }
    row("`fdatasync` then, once more") { answer(fdatasync(file)) }
    row("two stores, `msync` MS_SYNC, `munmap`") { tl_store_mapped(file, 1 << 20, [1, 5000], 2, 3, 1) }
    row("a store, `munmap`, `close`") {
      let one = opened("a", O_RDWR)
      let result = tl_store_mapped(one, 1 << 20, [9000], 1, 4, 0)
      close(one)
      return result
    }
    row("a store by a process that is killed then") { tl_store_and_die(path("a"), 7, 9) }
    if mapping > 0 { _ = tl_end_child(mapping) }
    close(file)
  }

  private func ranges() {
    let file = opened("a", O_RDWR)
    let other = opened("b", O_RDWR | O_CREAT)
    let modes: [(String, Int32)] = [
      ("0", 0), ("KEEP_SIZE", 1), ("PUNCH_HOLE", 3), ("ZERO_RANGE", 16), ("COLLAPSE_RANGE", 8), ("INSERT_RANGE", 32),
      ("UNSHARE_RANGE", 64),
    ]
    for (name, mode) in modes {
      row("`fallocate` \(name)") { -Int64(tl_fallocate(file, mode, 4096, 8192)) }
    }
    row("`ftruncate`") { answer(ftruncate(file, 1 << 20)) }
    row("`open` with O_TRUNC") {
      let again = opened("b", O_RDWR | O_TRUNC)
      return answer(close(again))
    }
    row("`copy_file_range` to another file") { tl_copy_range(file, 0, other, 0, 10_000) }
    row("`copy_file_range` in a file") { tl_copy_range(file, 0, file, 500_000, 10_000) }
    row("`ioctl` FICLONE") { tl_clone_file(other, file) }
    row("`lseek` SEEK_DATA") { tl_seek(file, 0, 0) }
    row("`lseek` SEEK_HOLE") { tl_seek(file, 0, 1) }
    close(file)
    close(other)
  }

  private func names() {
    row("`link`") { answer(link(path("a"), path("c"))) }
    row("`symlink`") { answer(symlink("a", path("s"))) }
    row("`rename` over a file") { answer(rename(path("b"), path("c"))) }
    row("`renameat2` NOREPLACE, the name is taken") { -Int64(tl_rename(path("a"), path("c"), 1)) }
    row("`renameat2` EXCHANGE") { -Int64(tl_rename(path("a"), path("c"), 2)) }
    row("`renameat2` WHITEOUT") { -Int64(tl_rename(path("a"), path("c"), 4)) }
    row("`mkdir`") { answer(mkdir(path("d"), 0o755)) }
    row("`rmdir`") { answer(rmdir(path("d"))) }
    row("`mkfifo`") { answer(mkfifo(path("f"), 0o644)) }
    row("`mknod` of a device") { answer(mknod(path("n"), 0o060644, 0x700)) }
    row("`bind` of a unix socket") { min(0, tl_listen(path("u"))) }
    row("`connect` to it") { min(0, tl_connect(path("u"))) }
    row("`open` with O_TMPFILE, a write, `linkat`") {
      let file = open(mount.folder, tl_tmpfile | O_RDWR, 0o600)
      if file < 0 { return -Int64(errno) }
      write(file, bytes.baseAddress!, 5)
      defer { close(file) }
      return tl_link_open_file(file, path("t"))
    }
    let file = opened("x", O_RDWR | O_CREAT)
    row("`unlink` of an open file") { answer(unlink(path("x"))) }
    row("`pwrite` to it") { answer(pwrite(file, bytes.baseAddress!, 10, 0)) }
    row("`fsync` of it") { answer(fsync(file)) }
    row("`close` of it") { answer(close(file)) }
  }

  private func others() {
    row("`chmod`") { answer(chmod(path("a"), 0o600)) }
    row("`chown`") { answer(chown(path("a"), 1, 1)) }
    row("`utimensat`") { answer(utimensat(AT_FDCWD, path("a"), nil, 0)) }
    row("`setxattr`") { tl_set_attribute(path("a"), "user.k", "v", 0) }
    row("`getxattr`") {
      tl_get_attribute(path("a"), "user.k", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), 9)
    }
    row("`listxattr`") { tl_list_attributes(path("a"), bytes.baseAddress!.assumingMemoryBound(to: CChar.self), 99) }
    row("`removexattr`") { tl_remove_attribute(path("a"), "user.k") }
    let (one, two) = (opened("a", O_RDWR), opened("a", O_RDWR))
    row("`flock`") { tl_flock(one) }
    row("`flock` by another") { tl_flock(two) }
    row("`fcntl` F_SETLK") { tl_lock_range(one, 0, 0, 10) }
    row("`fcntl` F_OFD_SETLK by another") { tl_lock_range(two, 1, 0, 10) }
    row("`stat`, known") {
      var status = stat()
      return answer(stat(path("a"), &status))
    }
    row("`stat` of no file, twice") {
      var status = stat()
      _ = stat(path("nothing"), &status)
      return answer(stat(path("nothing"), &status))
    }
    row("`readdir`") {
      let listing = opendir(mount.folder)
      var count: Int64 = 0
      while readdir(listing!) != nil { count += 1 }
      closedir(listing!)
      return count
    }
    row("`statfs`") {
      var status = statvfs()
      return answer(statvfs(mount.folder, &status))
    }
    close(one)
    close(two)
  }
}
