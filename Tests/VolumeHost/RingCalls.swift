import CURing

/// One operation of io_uring at a time.
final class RingCalls {
  private let ring: OpaquePointer

  /// Nil where the kernel has no io_uring for us.
  init?() {
    var error: Int32 = 0
    guard let opened = tl_ring_open(8, &error) else { return nil }
    ring = opened
  }

  deinit { tl_ring_close(ring) }

  private func result() -> Int64 {
    var done = tl_completion()
    let code = tl_ring_submit_and_wait(ring, 10_000_000_000)
    if code < 0 { return Int64(code) }
    return tl_ring_reap(ring, &done, 1) == 1 ? Int64(done.result) : -62
  }

  func write(
    _ file: Int32, _ bytes: UnsafeMutableRawBufferPointer, _ count: Int, _ offset: UInt64, dsync: Bool
  ) -> Int64 {
    let code = tl_ring_prepare_write(
      ring, file, bytes.baseAddress!, UInt32(count), offset, dsync ? 1 : 0, -1, 1)
    return code < 0 ? Int64(code) : result()
  }

  func sync(_ file: Int32) -> Int64 {
    let code = tl_ring_prepare_fsync(ring, file, 1, 1)
    return code < 0 ? Int64(code) : result()
  }
}
