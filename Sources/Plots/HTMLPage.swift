/// One self-contained page: no script, no font, no image from elsewhere; light and dark by the reader's system.
public struct HTMLPage: Sendable {
  public var title: String
  private var body = ""

  public init(title: String) { self.title = title }

  public mutating func heading(_ text: String, level: Int = 2) {
    body += "<h\(level)>\(escapedMarkup(text))</h\(level)>\n"
  }

  public mutating func paragraph(_ text: String, class name: String? = nil) {
    body += "<p\(name.map { " class=\"\($0)\"" } ?? "")>\(escapedMarkup(text))</p>\n"
  }

  public mutating func list(_ items: [String]) {
    guard !items.isEmpty else { return }
    body += "<ul>\n" + items.map { "<li>\(escapedMarkup($0))</li>\n" }.joined() + "</ul>\n"
  }

  /// - Parameters:
  ///   - numeric: columns that are aligned to the right.
  ///   - marked: rows that are emphasised.
  public mutating func table(_ head: [String], _ rows: [[String]], numeric: Set<Int> = [], marked: Set<Int> = []) {
    func cell(_ tag: String, _ column: Int, _ text: String) -> String {
      let style = numeric.contains(column) ? " class=\"n\"" : text.count > 30 ? " class=\"text\"" : ""
      return "<\(tag)\(style)>\(escapedMarkup(text))</\(tag)>"
    }
    body += "<div class=\"wide\"><table>\n<tr>"
    body += head.enumerated().map { cell("th", $0.offset, $0.element) }.joined() + "</tr>\n"
    for (index, row) in rows.enumerated() {
      body += marked.contains(index) ? "<tr class=\"marked\">" : "<tr>"
      body += row.enumerated().map { cell("td", $0.offset, $0.element) }.joined() + "</tr>\n"
    }
    body += "</table></div>\n"
  }

  /// A plot with its caption.
  public mutating func figure(_ svg: String, caption: String) {
    body += "<figure>\n\(svg)\n<figcaption>\(escapedMarkup(caption))</figcaption>\n</figure>\n"
  }

  public func render() -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(escapedMarkup(title))</title>
    <style>
    \(Self.style)
    </style>
    </head>
    <body>
    <main>
    \(body)</main>
    </body>
    </html>

    """
  }

  /// Series colours are told apart by people who see no red or no green too (Okabe and Ito, "Color Universal Design",
  /// 2008).
  private static let style = """
    :root { --paper: #ffffff; --ink: #1c1e21; --quiet: #5d646d; --line: #d5d9de; --mark: #eef4fb;
      --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b0579a; --s4: #7a6000; }
    @media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e7e9ec; --quiet: #a0a8b2; --line: #363c44;
      --mark: #1f2a37; --s0: #56b4e9; --s1: #f08c3a; --s2: #2fc49a; --s3: #dd8cc4; --s4: #d9c25a; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
    main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; overflow-wrap: anywhere; }
    h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 8px; }
    h2 { font-size: 1.15rem; margin: 36px 0 8px; }
    p { margin: 6px 0; max-width: 75ch; }
    li { max-width: 75ch; }
    p.quiet, figcaption { color: var(--quiet); font-size: 0.875rem; }
    figure { margin: 14px 0 6px; overflow-x: auto; }
    figure svg { display: block; width: 100%; min-width: 620px; height: auto; }
    .wide { overflow-x: auto; margin: 10px 0; }
    table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
    th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
    th { color: var(--quiet); font-weight: 600; }
    td.text { white-space: normal; min-width: 15em; }
    .n { text-align: right; }
    .marked td { background: var(--mark); font-weight: 600; }
    svg text { fill: var(--ink); font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
      paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
    svg .quiet { fill: var(--quiet); }
    svg .grid { stroke: var(--line); stroke-width: 1; }
    svg .limit { stroke: var(--s1); stroke-width: 1.5; stroke-dasharray: 5 4; }
    svg .s0 { --c: var(--s0); } svg .s1 { --c: var(--s1); } svg .s2 { --c: var(--s2); } svg .s3 { --c: var(--s3); }
    svg .s4 { --c: var(--s4); }
    svg .dot { fill: var(--c); fill-opacity: 0.75; stroke: var(--paper); stroke-width: 1; }
    svg .ring { fill: none; stroke: var(--ink); stroke-width: 2; }
    svg .curve { fill: none; stroke: var(--c); stroke-width: 2; }
    svg .stem { stroke: var(--c); stroke-width: 1.2; }
    svg .bar { fill: var(--c); fill-opacity: 0.8; }
    svg text.name { fill: var(--c); font-weight: 600; }
    """
}
