import FaultInjection
import Storage

/// What the faults of one life have hit.
struct Firings: Sendable {
  var count = 0
  /// The call sites, in the order in which they were hit, each once.
  var sites: [EngineCallSite] = []
  /// Firings whose call site nobody could tell.
  var unknownSites = 0
  /// Operations after the first firing: their numbers from 1, and where they came from.
  var after: [(number: Int, site: EngineCallSite)] = []
}

/// Finds out, while a life under errors runs, which call sites its faults hit.
final class FaultHitRecorder: @unchecked Sendable {
  // Owned by the loop of the life.

  /// Operations after the first firing of which the call sites are noted.
  private static let watched = 48
  /// Operations of one life whose call sites are noted.
  private static let mostPlaced = 200

  private(set) var firings = Firings()
  /// False: nobody asks where a fault has hit.
  private let notesSites: Bool
  private let notesLeads: Bool
  /// Numbers of the operations that a fault has hit and that have not ended.
  private var hit: Set<Int> = []
  private var placed = 0

  /// - Parameter notesLeads: whether to note where the operations after the first firing come from.
  init(notesSites: Bool, notesLeads: Bool = false) {
    self.notesSites = notesSites
    self.notesLeads = notesLeads
  }

  func fired(_ receipt: StorageFaultReceipt) {
    firings.count += 1
    // A short or a late answer is no error: the call site has coped with none.
    if case .error = receipt.answer { hit.insert(Int(receipt.operationNumber)) }
  }

  /// - Parameter site: that the operation was started from; nil where it did not say.
  func ended(_ call: StorageCall, _ number: Int, from site: CallSite?) {
    guard notesSites, firings.count > 0, placed < Self.mostPlaced else { return }
    let wasHit = hit.remove(number) != nil
    let isLead = notesLeads && firings.after.count < Self.watched
    guard wasHit || isLead else { return }
    placed += 1
    guard let site = site.map({ EngineCallSite($0, call.kind) }) else {
      if wasHit { firings.unknownSites += 1 }
      return
    }
    if !wasHit {
      firings.after.append((number, site))
    } else if !firings.sites.contains(site) {
      firings.sites.append(site)
    }
  }
}
