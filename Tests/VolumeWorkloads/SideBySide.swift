import Glibc

/// What one call was answered with: a count or 0, or a negative errno.
package typealias Answer = Int64

/// Numbers that follow from a seed (xorshift*, Vigna 2016).
struct Dice {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  /// 0 to below `limit`.
  mutating func callAsFunction(_ limit: Int) -> Int {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return Int((state &* 0x2545_F491_4F6C_DD1D) >> 33) % limit
  }
}

/// A difference between the two places, with everything that led to it.
package struct Difference: Error, CustomStringConvertible {
  package let description: String
}

/// The same calls in two folders: a volume, and one of a file system that is trusted.
package struct SideBySide {
  let volume: String
  let trusted: String
  var log: [String] = []

  init(volume: String, trusted: String) {
    self.volume = volume
    self.trusted = trusted
  }

  /// Makes a call in both places and compares the answers.
  @discardableResult mutating func both(_ text: String, _ call: (String) -> Answer) throws(Difference) -> Answer {
    log.append(text)
    if log.count > 40 { log.removeFirst() }
    let (one, two) = (call(volume), call(trusted))
    log[log.count - 1] += " = \(one)"
    if one != two { throw difference("answers \(name(one)), and not \(name(two))") }
    return one
  }

  func difference(_ text: String) -> Difference {
    Difference(description: (log + ["-> the volume " + text]).joined(separator: "\n"))
  }

  private func name(_ answer: Answer) -> String {
    answer < 0 ? String(cString: strerror(Int32(-answer))) : "\(answer)"
  }
}

/// A call's result, or the negative errno.
func answer<Number: SignedInteger>(_ result: Number) -> Answer { result < 0 ? -Answer(errno) : Answer(result) }
