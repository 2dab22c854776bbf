"""A run's report as one HTML page that needs nothing from outside."""

import html
import re

from grindstone.report.markdown import headline, render_markdown
from grindstone.report.model import RunReport
from grindstone.report.plots import data_uri, render_svg, report_plots

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --page: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --soft: #9aa5b1; --line: #3e4c59; --page: #1f2933 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.25 } h2 { margin-top: 2.2rem }
blockquote { border-left: 4px solid #e69f00; margin: 1rem 0; padding: .2rem 1rem;
  color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left }
.number { text-align: right } img { max-width: 100%; border-radius: 8px; margin: .8rem 0 }
code { font-family: ui-monospace, monospace; font-size: .92em } a { color: #0072b2 }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render_html(report: RunReport, *, plots: bool = True) -> str:
    """Return the report as one page: no script, no outside address, plots included.

    Args:
        report: What `build_report` returned.
        plots: False leaves the plots out, which saves a second.
    """
    images = {}
    if plots:
        for name, chart in report_plots(report).items():
            images[name] = f"![{name.replace('_', ' ')}]({data_uri(render_svg(chart))})"
    body = to_html(render_markdown(report, images))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(headline(report))}</title>\n<style>{STYLE}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def to_html(markdown: str) -> str:
    """Return the HTML of the Markdown that `render_markdown` writes, and of no other."""
    return "\n".join(_block(block) for block in markdown.strip().split("\n\n"))


def _block(block: str) -> str:
    heading = re.fullmatch(r"(#{1,3}) (?:<a id=\"([^\"]*)\"></a>)?(.*)", block)
    if heading:
        level, target, text = len(heading[1]), heading[2], heading[3]
        mark = f' id="{html.escape(target)}"' if target else ""
        return f"<h{level}{mark}>{_inline(text)}</h{level}>"
    if block.startswith("|"):
        return _table(block.splitlines())
    if block.startswith("> "):
        return f"<blockquote>{_inline(block[2:])}</blockquote>"
    return f"<p>{_inline(block)}</p>"


def _table(lines: list[str]) -> str:
    head, rule, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", x)[1:-1]] for x in lines)
    kinds = [' class="number"' if cell.endswith(":") else "" for cell in rule]
    titles = "".join(f"<th{kind}>{_inline(x)}</th>" for x, kind in zip(head, kinds, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{_inline(x)}</td>" for x, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    top = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    return f'<div class="wide"><table>{top}<tbody>{body}</tbody></table></div>'


def _inline(text: str) -> str:
    """Escape first, so that nothing a task or a model wrote becomes markup."""
    image = re.fullmatch(r"!\[([^\]]*)\]\((data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+)\)", text)
    if image:
        return f'<img alt="{html.escape(image[1])}" src="{image[2]}">'
    safe = html.escape(text.replace("&lt;", "<").replace("\\|", "|").replace("\\\\", "\\"))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"\[([^\]]+)\]\(#([\w.-]+)\)", r'<a href="#\2">\1</a>', safe)
