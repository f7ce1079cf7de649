import LogModel
import ObjectStore
import Testing

@testable import PartitionEngine

@Suite struct ObjectChainTests {
  private static let source = TopicPartition("orders", 0)

  private static func object(_ base: Int, _ end: Int, _ epoch: UInt64 = 1, isMissing: Bool = false) -> ListedObject {
    ListedObject(ObjectName(source, base: Offset(base), end: Offset(end), epoch: Epoch(epoch)), isMissing: isMissing)
  }

  private static func text(_ chain: ObjectChain) -> String {
    chain.links.map { "\($0.base)-\($0.end)e\($0.epoch)" }.joined(separator: " ") + " | "
      + chain.gaps.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ") + " | \(chain.end)"
  }

  private func check(_ objects: [ListedObject], from start: Int = 0, to end: Int?, _ expected: String) {
    for listing in [objects, objects.reversed()] {
      #expect(Self.text(ObjectChain(listing, from: Offset(start), to: end.map { Offset($0) })) == expected)
    }
  }

  @Test func objectsFollowOneAnother() {
    check([], to: 0, " |  | 0")
    check([], to: nil, " |  | 0")
    check([Self.object(0, 4), Self.object(4, 9)], to: 9, "0-4e1 4-9e1 |  | 9")
    check([Self.object(0, 4), Self.object(4, 9)], to: nil, "0-4e1 4-9e1 |  | 9")
    // What is put and not recorded is none of it, unless nothing else is known.
    check([Self.object(0, 4), Self.object(4, 9)], to: 4, "0-4e1 |  | 4")
    // It begins in the middle of an object.
    check([Self.object(0, 4), Self.object(4, 9)], from: 2, to: 9, "0-4e1 4-9e1 |  | 9")
  }

  @Test func whatIsMissingIsAGap() {
    check([], to: 7, " | 0-7 | 7")
    check([Self.object(4, 9)], to: 12, "4-9e1 | 0-4 9-12 | 12")
    check([Self.object(0, 4), Self.object(6, 9)], to: 9, "0-4e1 6-9e1 | 4-6 | 9")
    check([Self.object(0, 4), Self.object(4, 9, isMissing: true)], to: 9, "0-4e1 | 4-9 | 9")
    check([Self.object(0, 4), Self.object(4, 9, isMissing: true)], to: nil, "0-4e1 | 4-9 | 9")
    check([Self.object(0, 4, isMissing: true), Self.object(4, 9)], to: nil, "4-9e1 | 0-4 | 9")
    check(
      [Self.object(0, 4), Self.object(4, 9, isMissing: true), Self.object(9, 12)], to: nil, "0-4e1 9-12e1 | 4-9 | 12")
  }

  /// A writer was replaced before it had recorded its object: those of its successor count, wherever they end.
  @Test func aHigherEpochReplaces() {
    check(
      [Self.object(0, 4), Self.object(4, 9, 1), Self.object(4, 7, 2), Self.object(7, 12, 2)], to: 12,
      "0-4e1 4-7e2 7-12e2 |  | 12")
    check([Self.object(4, 9, 1), Self.object(4, 20, 2), Self.object(0, 4, 1)], to: 20, "0-4e1 4-20e2 |  | 20")
    // Nor is it taken where one of the successor's is lost.
    check([Self.object(0, 4), Self.object(4, 9, 1), Self.object(4, 7, 2)], to: 9, "0-4e1 4-7e2 | 7-9 | 9")
    // A late one of an older writer behind a newer one's.
    check([Self.object(0, 4, 2), Self.object(4, 9, 1)], to: nil, "0-4e2 |  | 4")
  }

  @Test func everyOffsetIsFound() {
    let chain = ObjectChain([Self.object(0, 4), Self.object(6, 9)], from: 0, to: 9)
    for offset in 0..<9 {
      let name = chain.link(containing: Offset(offset))
      switch offset {
      case 0..<4: #expect(name?.base == 0)
      case 4, 5:
        #expect(name == nil)
        #expect(chain.nextBase(after: Offset(offset)) == 6)
      default: #expect(name?.base == 6)
      }
    }
    #expect(chain.nextBase(after: 9) == nil)
  }

  /// All sets of up to four objects over six offsets and two epochs: links do not overlap, together with the gaps they
  /// cover everything, and each offset that any object of no lower epoch than its neighbours' holds is held.
  @Test func linksAndGapsCoverEverything() {
    var all: [ListedObject] = []
    for base in 0..<5 {
      for end in base + 1...5 { for epoch in 1...2 { all.append(Self.object(base, end, UInt64(epoch))) } }
    }
    var sets = 0
    for a in all.indices {
      for b in a..<all.count {
        for c in b..<all.count {
          let chain = ObjectChain([all[a], all[b], all[c]], from: 0, to: 5)
          var pieces = chain.gaps.map { ($0.lowerBound, $0.upperBound) }
          var at: Offset = 0
          for link in chain.links {
            pieces.append((max(link.base, at), link.end))
            at = link.end
          }
          pieces.sort { $0.0 < $1.0 }
          var end: Offset = 0
          for piece in pieces {
            #expect(piece.0 == end && piece.1 > piece.0, "\(Self.text(chain))")
            end = piece.1
          }
          #expect(end == 5)
          #expect(chain.links.map(\.epoch) == chain.links.map(\.epoch).sorted())
          sets += 1
        }
      }
    }
    #expect(sets > 4000)
  }
}
