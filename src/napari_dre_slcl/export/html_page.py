"""The frame of a page that is one file: its head, its tables, its rows of plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari_dre_slcl.export.html_text import escape

__all__ = ["figures", "note", "page", "section", "table"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ font: 16px/1.5 sans-serif; color: #222; background: #fff; max-width: 70em;
  margin: 2em auto; padding: 0 1em; }}
h1 {{ font-size: 1.6em; }} h2 {{ font-size: 1.3em; margin-top: 2em; }}
h3 {{ font-size: 1.05em; margin-bottom: .3em; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: .8em 0; }}
caption {{ text-align: left; color: #555; padding-bottom: .3em; }}
th, td {{ border-bottom: 1px solid #ddd; padding: .25em .8em .25em 0; text-align: left; }}
th {{ border-bottom-color: #888; }}
td.number {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1em; }}
.note {{ color: #555; max-width: 50em; }}
svg {{ max-width: 100%; height: auto; }}
@media print {{ .figures, table {{ break-inside: avoid; }} }}
{style}</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title : str
        Plain text.
    parts : iterable of str
        HTML, one below the other.
    style : str
        CSS that comes after that of every page.
    """
    body = "\n".join(part for part in parts if part)
    return _PAGE.format(title=escape(title), body=body, style=style)


def section(title: str, parts: Iterable[str], level: int = 2) -> str:
    """Return a headline and what stands below it; nothing where that is empty."""
    body = "\n".join(part for part in parts if part)
    return f"<h{level}>{escape(title)}</h{level}>\n{body}" if body else ""


def note(sentence: str) -> str:
    """Return a paragraph in small print; nothing where there is no sentence."""
    return f'<p class="note">{escape(sentence)}</p>' if sentence else ""


def figures(plots: Iterable[str]) -> str:
    """Return plots side by side, as far as there is room."""
    drawn = "\n".join(plot for plot in plots if plot)
    return f'<div class="figures">\n{drawn}\n</div>' if drawn else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table; nothing where it has no row.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        Plain text; the first cell names the row.
    caption : str
        Above it.
    """
    lines = [_row(row) for row in rows]
    if not lines:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table>{above}\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    rest = "".join(f'<td class="number">{escape(cell)}</td>' for cell in others)
    return f"<tr><td>{escape(first)}</td>{rest}</tr>"
