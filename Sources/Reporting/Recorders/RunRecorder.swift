/// Turns the stream into one format. Called from one task at a time, in the order of the events.
public protocol RunRecorder: AnyObject {
  func record(_ event: RunEvent) throws
}
