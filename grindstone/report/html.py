"""A run's report as one HTML page that needs nothing from outside."""

import html
import itertools
import re
from functools import cache
from typing import TYPE_CHECKING

from grindstone.report.markdown import headline, render_markdown
from grindstone.report.model import RunReport
from grindstone.report.plots import data_uri, render_svg, report_plots

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline

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
th:empty { padding: 0; border: 0 } img { max-width: 100%; border-radius: 8px; margin: .8rem 0 }
code { font-family: ui-monospace, monospace; font-size: .92em } a { color: #0072b2 }
"""

_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')

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
    """Return the HTML of the Markdown that Grindstone's pages are written in.

    It is the part of CommonMark that they use, and GitHub's tables. Markup in the text stays
    text, and nothing of it leads out of the page, since tasks and models write into pages.
    """
    page: str = _reader().render(markdown)
    return page


@cache
def _reader() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    reader = MarkdownIt("zero")
    reader.enable(["heading", "blockquote", "table", "list", "fence", "code"])
    reader.enable(["backticks", "emphasis", "link", "image", "escape", "entity"])
    reader.inline.ruler.at("emphasis", _starred)
    reader.core.ruler.after("block", "anchor", _take_anchors)
    reader.validateLink = lambda url: url.startswith(("#", "data:image/"))  # type: ignore[method-assign]
    reader.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return reader


def _starred(state: "StateInline", silent: bool) -> bool:
    """Emphasise by asterisks alone: names of tests and files hold underscores."""
    from markdown_it.rules_inline import emphasis

    return state.src[state.pos] != "_" and emphasis.tokenize(state, silent)


def _take_anchors(state: "StateCore") -> None:
    """Make the `<a id="…"></a>` at a heading's beginning the heading's own id."""
    for opening, text in itertools.pairwise(state.tokens):
        found = opening.type == "heading_open" and _ANCHOR.match(text.content)
        if found:
            opening.attrSet("id", found[1])
            text.content = text.content[found.end() :]
