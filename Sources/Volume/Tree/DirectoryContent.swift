/// The names in a directory. A listing goes by slots, which keep their numbers while anybody lists: a name that was
/// there from the beginning to the end of a listing appears in it once (`man 3 readdir`, POSIX).
final class DirectoryContent {
  struct Entry {
    var name: [UInt8]
    var inode: UInt64
  }

  /// The directory above; of the root its own.
  var parent: UInt64
  private(set) var slots: [Entry?] = []
  private var places: [[UInt8]: Int] = [:]

  init(parent: UInt64) { self.parent = parent }

  var isEmpty: Bool { places.isEmpty }
  var count: Int { places.count }

  subscript(_ name: [UInt8]) -> UInt64? { places[name].map { slots[$0]!.inode } }

  func insert(_ name: [UInt8], _ inode: UInt64) {
    places[name] = slots.count
    slots.append(Entry(name: name, inode: inode))
  }

  /// Has an existing name mean another inode.
  func replace(_ name: [UInt8], with inode: UInt64) {
    guard let place = places[name] else { return insert(name, inode) }
    slots[place]!.inode = inode
  }

  /// - Parameter mayMove: nobody lists, so that slots may be numbered anew.
  func remove(_ name: [UInt8], mayMove: Bool) {
    guard let place = places.removeValue(forKey: name) else { return }
    slots[place] = nil
    if place == slots.count - 1, mayMove { slots.removeLast() }
    if mayMove, slots.count > 64, places.count * 4 < slots.count {
      slots = slots.filter { $0 != nil }
      places = Dictionary(uniqueKeysWithValues: slots.enumerated().map { ($1!.name, $0) })
    }
  }
}
