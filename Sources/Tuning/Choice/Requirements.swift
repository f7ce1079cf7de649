import LogModel

/// What a user asks of a setting.
public struct Requirements: Hashable, Sendable, Codable {
  /// What a power cut may take.
  public enum Loss: Hashable, Sendable {
    case nothing
    case time(Duration)
    case messages(Int)
  }

  public var loss: Loss
  /// For 99 of 100 messages, from the moment at which one is due to its acknowledgement.
  public var p99: Duration { .nanoseconds(limit) }
  private var limit: Int64
  public var workload: Workload
  public var producers: Int
  public var batch: Int

  private enum CodingKeys: String, CodingKey {
    case loss, workload, producers, batch
    case limit = "p99Nanoseconds"
  }

  public init(loss: Loss, p99: Duration, workload: Workload, producers: Int, batch: Int) {
    (self.loss, limit, self.workload) = (loss, p99.nanoseconds, workload)
    (self.producers, self.batch) = (producers, batch)
  }

  /// A setting carries a rate if it can do so much more, flat out: a load is no constant.
  public static let headroom = 1.25
}

extension Requirements.Loss: CustomStringConvertible {
  /// `0`, `50ms` or `100 messages`.
  public init?(_ text: String) {
    if text == "0" {
      self = .nothing
    } else if let duration = DurationText.parse(text) {
      self = duration == .zero ? .nothing : .time(duration)
    } else {
      let words = text.split(separator: " ")
      guard words.count == 2, words[1] == "messages" || words[1] == "message", let count = Int(words[0]), count >= 0
      else { return nil }
      self = count == 0 ? .nothing : .messages(count)
    }
  }

  public var description: String {
    switch self {
    case .nothing: "0"
    case .time(let limit): DurationText.render(limit)
    case .messages(let count): "\(count) messages"
    }
  }

  /// In a sentence.
  var words: String {
    switch self {
    case .nothing: "no loss"
    case .time(let limit): "at most \(DurationText.render(limit)) of loss"
    case .messages(let count): "at most \(count) messages lost"
    }
  }
}

extension Requirements.Loss: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let loss = Self(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "`\(text)` is no limit of loss")
    }
    self = loss
  }

  /// In the notation of `description`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
