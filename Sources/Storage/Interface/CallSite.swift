/// A line of source that starts an operation.
public struct CallSite: Sendable {
  /// `Module/File.swift`.
  public var file: StaticString
  /// From 1.
  public var line: UInt32

  @inlinable
  public init(file: StaticString, line: UInt32) {
    self.file = file
    self.line = line
  }
}

extension Storage {
  /// Names the line that starts the next operation: `storage.here().sync(file, .data)`. A storage that wants to know
  /// reads `EventLoop.callSite` when the operation comes to it: between the two nothing else runs on the loop.
  ///
  /// The engine starts every operation that can fail this way, on one line: `Plugins/CallSiteTable` lists them.
  @inlinable
  public func here(_ file: StaticString = #fileID, _ line: UInt32 = #line) -> Self {
    loop.callSite = CallSite(file: file, line: line)
    return self
  }
}
