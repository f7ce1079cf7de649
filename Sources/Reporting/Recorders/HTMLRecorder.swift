/// The page with plots of a command that has one.
final class HTMLRecorder: RunRecorder {
  private let sink: any ReportSink

  init(_ sink: any ReportSink) { self.sink = sink }

  func record(_ event: RunEvent) throws {
    guard case .document(let document) = event, let html = document.html else { return }
    try sink.write(html)
  }
}
