/// A fault as a scenario or a token asks for it: its kind and its parameters, as words.
public struct FaultSpec: Hashable, Sendable, Codable {
  public var kind: String
  public var parameters: [String: String]

  public init(kind: String, parameters: [String: String]) {
    self.kind = kind
    self.parameters = parameters
  }

  public subscript(name: String) -> String? { parameters[name] }
}
