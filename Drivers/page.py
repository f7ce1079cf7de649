"""A page as Markdown and as one self-contained HTML file: no script, no font, no image from elsewhere."""

import html
import re

STYLE = """
:root { --paper: #ffffff; --ink: #1c1e21; --quiet: #5d646d; --line: #d5d9de; --mark: #eef1f5; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e7e9ec; --quiet: #a0a8b2; --line: #363c44;
  --mark: #20262e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1500px; margin: 0 auto; padding: 24px 20px 64px; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 8px; }
h2 { font-size: 1.2rem; margin: 40px 0 8px; }
h3 { font-size: 1rem; margin: 28px 0 6px; }
p { margin: 6px 0; max-width: 80ch; }
li { max-width: 80ch; margin: 3px 0; }
.wide { overflow-x: auto; margin: 10px 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; }
td.text { white-space: normal; min-width: 11em; }
td.long { white-space: normal; min-width: min(32em, 80vw); }
.n { text-align: right; }
code, pre { font: 0.8125rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; background: var(--mark); }
code { padding: 1px 4px; }
pre { padding: 10px 12px; overflow-x: auto; }
pre.token { white-space: pre-wrap; overflow-wrap: anywhere; color: var(--quiet); }
summary { cursor: pointer; color: var(--quiet); }
"""


class Page:
    """Text may hold `code` between backticks. Everything else is plain."""

    def __init__(self, title):
        self.title = title
        self.markdown, self.body = [f"# {title}", ""], [f"<h1>{self.inline(title)}</h1>"]

    @staticmethod
    def inline(text):
        return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(str(text), quote=False))

    @staticmethod
    def plain(text):
        """Text as Markdown: what would be markup there is none."""
        parts = re.split(r"(`[^`]*`)", str(text))
        return "".join(part if part.startswith("`") else re.sub(r"([*<>|\[\]])", r"\\\1", part) for part in parts)

    def heading(self, text, level=2):
        self.markdown += ["#" * level + " " + self.plain(text), ""]
        self.body.append(f"<h{level}>{self.inline(text)}</h{level}>")

    def paragraph(self, text):
        self.markdown += [self.plain(text), ""]
        self.body.append(f"<p>{self.inline(text)}</p>")

    def list(self, items):
        self.markdown += [f"- {self.plain(item)}" for item in items] + [""]
        self.body.append("<ul>" + "".join(f"<li>{self.inline(item)}</li>" for item in items) + "</ul>")

    def table(self, head, rows, numeric=()):
        def cell(tag, column, text):
            length = len(str(text))
            style = (' class="n"' if column in numeric else ' class="long"' if length > 150
                     else ' class="text"' if length > 20 else "")
            return f"<{tag}{style}>{self.inline(text)}</{tag}>"

        marks = ["---:" if column in numeric else "---" for column in range(len(head))]
        for row in [head, None, *rows]:
            texts = marks if row is None else [self.plain(str(text).replace("\n", " ")) for text in row]
            self.markdown.append("| " + " | ".join(texts) + " |")
        self.markdown.append("")
        self.body.append('<div class="wide"><table><tr>' + "".join(
            cell("th", column, text) for column, text in enumerate(head)) + "</tr>")
        for row in rows:
            self.body.append("<tr>" + "".join(cell("td", column, text) for column, text in enumerate(row)) + "</tr>")
        self.body.append("</table></div>")

    def code(self, lines):
        self.markdown += ["```", *lines, "```", ""]
        self.body.append("<pre>" + html.escape("\n".join(lines), quote=False) + "</pre>")

    def command(self, summary, lines):
        """Long lines that few will read: folded on the page."""
        self.markdown += ["```", *lines, "```", ""]
        self.body.append(f'<details><summary>{self.inline(summary)}</summary><pre class="token">'
                         + html.escape("\n".join(lines), quote=False) + "</pre></details>")

    def write(self, markdown_path, html_path):
        with open(markdown_path, "w") as file:
            file.write("\n".join(self.markdown).rstrip() + "\n")
        with open(html_path, "w") as file:
            file.write(f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(self.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{chr(10).join(self.body)}
</main>
</body>
</html>
""")
