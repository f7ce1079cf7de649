import Testing

@testable import Plots

@Suite struct PlotsTests {
  @Test func markupIsEscaped() {
    #expect(escapedMarkup("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;")
    var page = HTMLPage(title: "<t>")
    page.table(["<h>"], [["<c>"]])
    page.list(["<i>"])
    page.paragraph("<p>")
    let text = page.render()
    for raw in ["<t>", "<h>", "<c>", "<i>"] { #expect(!text.contains(raw), "\(raw)") }
  }

  @Test func anAxisPlacesDecadesEvenly() {
    let axis = LogAxis([1, 1000], from: 0, to: 300)
    #expect(axis.place(1) == 0 && axis.place(1000) == 300)
    #expect(abs(axis.place(10) - 100) < 1e-9)
    #expect(axis.ticks == [1, 10, 100, 1000])
    // Below its lowest decade, and of no value at all.
    #expect(axis.place(0) == 0)
    #expect(LogAxis([], from: 0, to: 10).ticks == [1, 10])
  }

  @Test func oddValuesNeverReachTheDrawing() {
    let dots = [0, .infinity, .nan, 5].map { ScatterPlot.Point(x: $0, y: 1, size: .nan, name: "n") }
    let plot = ScatterPlot(dots, x: "x", y: "y", zero: "none", endless: "all", text: { "\($0)" }).render()
    #expect(!plot.contains("\"nan\"") && !plot.contains("\"inf\""))
    let strip = StripPlot([], y: "y", text: { "\($0)" }, timeText: { "\($0)" }).render()
    #expect(strip.hasPrefix("<svg"))
  }

  @Test func namesDoNotCoverEachOther() {
    let dots = (0..<6).map { ScatterPlot.Point(x: 10, y: 10, size: 0.5, name: "setting \($0)") }
    let plot = ScatterPlot(dots, x: "x", y: "y", zero: "none", endless: "all", text: { "\($0)" }).render()
    let places = plot.split(separator: "\n").filter { $0.contains("class=\"name") }.map { line in
      line.split(separator: "y=\"")[1].prefix { $0 != "\"" }
    }
    #expect(Set(places).count == 6)
  }
}
