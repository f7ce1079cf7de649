import Metrics

/// `GET /metrics` answers with a registry's metrics in OpenMetrics text.
public final class MetricsEndpoint: Sendable {
  private let listener: HTTPListener

  /// - Throws: `cannotListen`.
  public init(_ registry: MetricRegistry, at address: HTTPAddress, _ limits: HTTPLimits = HTTPLimits(body: 0))
    throws(HTTPListenerError)
  {
    listener = try HTTPListener(address, limits) { request in .answer(Self.answer(request, registry)) }
  }

  /// Where it listens.
  public var address: HTTPAddress { listener.address }

  public func stop() { listener.stop() }

  private static func answer(_ request: HTTPRequest, _ registry: MetricRegistry) -> HTTPAnswer {
    guard request.path == "/metrics" else {
      return HTTPAnswer("404 Not Found", body: Array("the metrics are at /metrics\n".utf8))
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return HTTPAnswer("405 Method Not Allowed", headers: [(name: "Allow", value: "GET, HEAD")])
    }
    return HTTPAnswer(
      "200 OK", headers: [(name: "Content-Type", value: OpenMetricsText.contentType)],
      body: Array(OpenMetricsText.render(registry.snapshot).utf8))
  }
}
