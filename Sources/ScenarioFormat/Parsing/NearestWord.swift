/// The candidate that a person who typed `word` most likely meant; nil where none is near.
///
/// Near is an edit distance (insert, delete, replace, swap neighbours) of at most a third of the word, and at
/// least 1; letter case does not count. Of equals the first wins.
public func nearestWord(to word: String, among candidates: [String]) -> String? {
  let typed = Array(word.lowercased().unicodeScalars.prefix(100))
  let limit = max(1, typed.count / 3)
  var best: (word: String, distance: Int)?
  for candidate in candidates {
    let d = editDistance(typed, Array(candidate.lowercased().unicodeScalars))
    if d <= limit, d < typed.count, d < best?.distance ?? .max { best = (candidate, d) }
  }
  return best?.word
}

/// Optimal string alignment distance: Levenshtein's with swaps of neighbours.
private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  for i in 1...a.count {
    var row = [Int](repeating: i, count: b.count + 1)
    for j in 1...b.count {
      let same = a[i - 1] == b[j - 1]
      row[j] = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (same ? 0 : 1))
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
