/// Pages of files that are changed in place. What a file gives back the next one takes.
final class PagePool {
  /// Bytes of a page.
  static let pageSize = 4096

  /// Pages that files hold.
  private(set) var held = 0

  private let memory: VolumeMemory
  private var free: UnsafeMutableRawPointer?
  private var cursor = UnsafeMutableRawPointer(bitPattern: 8)!
  private var room = 0

  init(_ memory: VolumeMemory) { self.memory = memory }

  /// A page of anything, or nil where there is none.
  func take() -> UnsafeMutableRawPointer? {
    if let page = free {
      free = page.load(as: UnsafeMutableRawPointer?.self)
      held += 1
      return page
    }
    if room == 0 {
      guard let segment = memory.segment() else { return nil }
      cursor = segment
      room = VolumeMemory.segmentSize
    }
    let page = cursor
    cursor += Self.pageSize
    room -= Self.pageSize
    held += 1
    return page
  }

  func give(_ page: UnsafeMutableRawPointer) {
    page.storeBytes(of: free, as: UnsafeMutableRawPointer?.self)
    free = page
    held -= 1
  }
}
