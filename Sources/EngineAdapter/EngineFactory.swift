import LogModel
import PartitionEngine
import Storage
import SystemUnderTest

/// Opens the partition engine for trials and explorations: the one place where they get a log to test.
public struct EngineFactory: LogFactory {
  private let storage: any Storage
  private let configuration: EngineConfiguration
  private let parts: EngineParts

  /// - Parameters:
  ///   - storage: where the engine's files lie, at its root.
  ///   - parts: those of the engine that a defect replaces, and what stands around it.
  public init(_ storage: any Storage, _ configuration: EngineConfiguration, parts: EngineParts) {
    (self.storage, self.configuration, self.parts) = (storage, configuration, parts)
  }

  public func open() async throws(LogFailure) -> (log: TestedEngine, recovery: RecoverySummary) {
    do throws(EngineError) {
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration, parts: parts)
      return (TestedEngine(engine, configuration), RecoverySummary(recovery))
    } catch {
      throw LogFailure(error)
    }
  }
}

/// The log that trials and explorations test. They know nothing more of it than that it is a `LogUnderTest`.
public typealias TestedLog = EngineFactory.Log
