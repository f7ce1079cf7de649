import CrashStates
import LogClients
import LogModel
import Verification

extension Recording {
  /// For each moment how many answers callers had been given.
  var answersBefore: [Int] {
    var answers = [0]
    for event in events {
      answers.append(answers[answers.count - 1] + (event.fact?.isAnswer == true ? 1 : 0))
    }
    return answers
  }

  /// By their numbers.
  var requests: [ProduceRequest] {
    events.compactMap { event in
      guard case .requested(_, let request)? = event.fact else { return nil }
      return request
    }
  }

  /// Whether a request of these producers has been acknowledged.
  func hasAnswered(producersFrom first: Int) -> Bool {
    let requests = requests
    return events.contains { event in
      guard case .answered(let number, .acknowledged, _)? = event.fact else { return false }
      return requests[number].producer >= first
    }
  }

  /// What callers knew when `events[..<end]` had happened, as the oracle reads it.
  /// - Parameter failedSyncs: of the whole recording.
  func history(_ workload: ExplorationWorkload, upTo end: Int, _ failedSyncs: [FailedSync] = []) -> History {
    var history = History(seed: workload.seed)
    var numbers: [Int: Int] = [:]
    var topic: (requested: Instant, outcome: Outcome)?
    var committed: [Int: Outcome] = [:]
    var commits: [(number: Int, commit: CommitRequest, time: Instant, operationsBefore: Int)] = []
    // Creations first: every partition is recorded before its first use.
    for event in events[..<end] {
      switch event.fact {
      case .topicRequested: topic = (event.time, .indeterminate)
      case .topicAnswered(let outcome): topic?.outcome = outcome
      default: break
      }
    }
    if let topic {
      for number in 0..<workload.partitions {
        history.create(TopicPartition(workload.topic, PartitionID(number)), topic.outcome, at: topic.requested)
      }
    }
    for (index, event) in events[..<end].enumerated() {
      for failed in failedSyncs where failed.event == index + 1 { history.damage(failed.damage) }
      guard let fact = event.fact else { continue }
      switch fact {
      case .opened: history.opened(at: event.time)
      case .topicRequested, .topicAnswered: break
      case .requested(let n, let request):
        numbers[n] = history.submit(
          PartitionSlot(request.partition), producer: request.producer, firstSequence: request.first,
          count: request.count, at: event.time)
      case .answered(let n, let outcome, let base):
        guard let number = numbers[n] else { continue }
        switch outcome {
        case .acknowledged: history.acknowledge(number, baseOffset: base, at: event.time)
        case .failed, .indeterminate: history.fail(number, certainly: outcome == .failed, at: event.time)
        }
      case .commitRequested(let n, let commit): commits.append((n, commit, event.time, history.operations.count))
      case .commitAnswered(let n, let outcome): committed[n] = outcome
      case .archived(let partition, let end): history.archived(PartitionSlot(partition), before: end)
      case .read(_, let answer): history.add(answer)
      case .said: break
      }
    }
    for (n, commit, time, operationsBefore) in commits {
      history.commit(
        group: commit.group, PartitionSlot(commit.partition), offset: commit.offset,
        committed[n] ?? .indeterminate, at: time, operationsBefore: operationsBefore)
    }
    return history
  }
}

extension History {
  /// Records what a consumer beside the producers was answered.
  fileprivate mutating func add(_ answer: ConcurrentReaders.Answer) {
    read(
      PartitionSlot(answer.partition), by: answer.reader, from: answer.asked, logStartOffset: answer.logStartOffset,
      highWatermark: answer.highWatermark, at: answer.at)
    for run in answer.runs { readMessages(run.offset, sequence: run.sequence, count: run.count) }
  }
}
