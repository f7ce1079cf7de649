import LogModel

/// Which damage is owed a report: that of operations for whose acknowledgement something on the medium testifies. The
/// rules stand in Contract.swift.
extension PartitionChecker {
  /// - Parameter place: a damaged operation, under `truncate-at-corruption` also one that stands behind it.
  mutating func isReportOwed(_ place: Int) -> Bool {
    let isOwed = isTestifiedFor(place)
    return !excuses(.untestified, !isOwed)
  }

  private mutating func isTestifiedFor(_ place: Int) -> Bool {
    let number = Int(duties[place].reportableDamage)
    guard number >= 0 else { return false }
    guard contract.recovery == .truncateAtCorruption else { return isTestified(place, number) }
    // What stands behind the first operation touched goes with it, reported or not.
    // But what was destroyed itself, behind it, shows no log how far it reached: that takes a witness of its own.
    if duties[place].isTouched, !isTestified(place, number) { return false }
    if let known = truncationsOwed[number] { return known }
    let first = duties.indices.filter { duties[$0].isTouched && duties[$0].reportableDamage == Int32(number) }
      .min { duties[$0].base < duties[$1].base }
    let isOwed = isTestified(first ?? place, number)
    truncationsOwed[number] = isOwed
    return isOwed
  }

  /// Under `skip-corrupted`: a damaged operation that nothing testifies for looks like the torn part of a commit, and a
  /// log ends where that begins. What stands behind it, and is not testified for either, may have been in the same
  /// commit: it goes with it.
  mutating func excuseWhatStandsBehindTheUntestified() {
    for place in behindTheUntestified(byReceipt: false) where served.servedOf[place] == 0 {
      duties[place].isDamaged = true
    }
    requiredEnd = 0
    summarizeDuties()
  }

  /// What stands behind the first damaged operation that nothing testifies for, and is not testified for either.
  /// - Parameter byReceipt: only what is owed may testify, not what happens to have been served.
  mutating func behindTheUntestified(byReceipt: Bool) -> [Int] {
    guard contract.recovery == .skipCorrupted else { return [] }
    var first: (base: Int64, damage: Int)?
    for place in duties.indices where duties[place].isTouched && duties[place].reportableDamage >= 0 {
      let damage = Int(duties[place].reportableDamage)
      guard duties[place].base < first?.base ?? .max, !isTestified(place, damage, byReceipt) else { continue }
      first = (duties[place].base, damage)
    }
    guard let first else { return [] }
    var behind: [Int] = []
    for place in duties.indices
    where duties[place].kind == .required && duties[place].base > first.base
      && reach.concerns(history.damages[first.damage], operation(place))
    {
      let isTestified = isTestified(place, first.damage, byReceipt)
      if excuses(.behindUntestified, !isTestified) { behind.append(place) }
    }
    return behind
  }

  private mutating func isTestified(_ place: Int, _ damage: Int, _ byReceipt: Bool = false) -> Bool {
    let damaged = operation(place)
    // An orderly close after it testifies too, where the damage came to a running engine.
    let done = history.damages[damage].crashesBefore + (history.damages[damage].isInLife ? 1 : 0)
    let crashes = min(done, restart)
    if damaged.incarnation < crashes,
      (damaged.incarnation..<crashes).contains(where: { contract.sync(of: $0) != .never && history.wasClosed($0) })
    {
      return true
    }
    if isRecordedElsewhere(place) { return true }
    // Operations stand in the order of submission: the last one that can testify is the best one.
    guard let last = lastWitness(of: damage, byReceipt) else { return false }
    if operation(last).incarnation > damaged.incarnation { return true }
    guard damaged.outcome == .acknowledged else { return false }
    let submitted = submittedAt(last)
    if let sync = syncNeeded(after: damaged, before: crashes) {
      if submitted > damaged.answeredAt + sync { return true }
      return !byReceipt
        && duties.indices.contains {
          canTestify($0, byReceipt) && Int(served.servedOf[$0]) == operation($0).count
            && submittedAt($0) > damaged.answeredAt
            && reach.concerns(history.damages[damage], operation($0))
        }
    }
    guard submitted == damaged.answeredAt else { return submitted > damaged.answeredAt }
    // In one moment of virtual time: a producer submits once it has its answer; of two producers nothing is known.
    for witness in stride(from: last, to: place, by: -1) where canTestify(witness, byReceipt) {
      if submittedAt(witness) < damaged.answeredAt { return false }
      if operation(witness).producer == damaged.producer { return true }
    }
    return false
  }

  /// Under `interval`, where the power has gone since: how long after an acknowledgement a batch that is written says
  /// of itself that what was acknowledged then is durable. One that says nothing of it may be what is left of the same
  /// interval. Nil otherwise.
  private func syncNeeded(after damaged: PartitionOperation, before crashes: Int) -> Duration? {
    let life = damaged.incarnation
    guard (life..<max(life, crashes)).contains(where: { history.crashes[$0].kind.losesPower }) else { return nil }
    return PromiseRules(contract, history).window(of: life, since: damaged.answeredAt)
  }

  /// Under `always` the engine keeps account, away from the log, of where a writer has begun, unless it was hindered.
  private mutating func isRecordedElsewhere(_ place: Int) -> Bool {
    let operation = operation(place)
    guard contract.sync(of: operation.incarnation) == .always, operation.outcome == .acknowledged else { return false }
    let first: Int?
    if let known = firstAcknowledged[operation.incarnation] {
      first = known
    } else {
      first = partition.operations.indices
        .filter {
          self.operation($0).outcome == .acknowledged && self.operation($0).incarnation == operation.incarnation
        }
        .min { self.operation($0).base < self.operation($1).base }
      firstAcknowledged[operation.incarnation] = first
    }
    guard first == place else { return false }
    let creation = history.creations[partition.slot]
    return !contract.refusals.excuses(history.operations[operation.number], createdBy: creation)
  }

  private mutating func lastWitness(of damage: Int, _ byReceipt: Bool) -> Int? {
    if let known = byReceipt ? lastWitnessesByReceipt[damage] : lastWitnesses[damage] { return known }
    let last = duties.indices.last {
      reach.concerns(history.damages[damage], operation($0)) && canTestify($0, byReceipt)
    }
    if byReceipt { lastWitnessesByReceipt[damage] = .some(last) } else { lastWitnesses[damage] = .some(last) }
    return last
  }

  private func canTestify(_ place: Int, _ byReceipt: Bool) -> Bool {
    guard operation(place).outcome == .acknowledged, !duties[place].isTouched else { return false }
    return duties[place].kind == .required || (!byReceipt && Int(served.servedOf[place]) == operation(place).count)
  }

  func submittedAt(_ place: Int) -> Instant { history.operations[operation(place).number].submittedAt }
}
