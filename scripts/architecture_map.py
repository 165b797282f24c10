"""Draw docs/images/architecture.svg: the rows of the import contract, and who imports whom.

Rows come from `[tool.importlinter]`, arrows from the imports in the source, those inside functions
too. An arrow is left out where a longer way says the same.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "napari_dre_slcl"
OUT = ROOT / "docs/images/architecture.svg"
_WIDTH, _ROW, _BOX_HEIGHT, _LETTER, _TOP, _LEFT = 860, 58, 30, 7.6, 20, 46
_FILL = ("#dbe9f6", "#e9f1df")


def read_rows() -> list[list[str]]:
    """Return the parts of each row of the contract, the highest row first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    )
    return [[part.strip(" ()") for part in layer.split("|")] for layer in contract["layers"]]


def read_arrows(parts: list[str]) -> set[tuple[str, str]]:
    """Return (importer, imported) for all pairs of parts."""
    source = ROOT / "src" / PACKAGE
    found = set()
    for path in sorted(source.rglob("*.py")):
        module = ".".join(path.relative_to(source).with_suffix("").parts)
        here = _part_of(module, parts)
        for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            there = _part_of(name, parts)
            if here and there and here != there:
                found.add((here, there))
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield each imported module of ours, without the package's own name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(PACKAGE))


def _part_of(module: str, parts: list[str]) -> str | None:
    fitting = [part for part in parts if module == part or module.startswith(f"{part}.")]
    return max(fitting, key=len, default=None)


def reduced(arrows: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out each arrow that a longer way makes needless."""
    after: dict[str, set[str]] = {}
    for start, end in arrows:
        after.setdefault(start, set()).add(end)

    def reach(start: str) -> set[str]:
        found: set[str] = set()
        todo = list(after.get(start, ()))
        while todo:
            part = todo.pop()
            if part not in found:
                found.add(part)
                todo += after.get(part, ())
        return found

    return sorted(
        (start, end)
        for start, end in arrows
        if not any(end in reach(other) for other in after[start] if other != end)
    )


def _centres(rows: list[list[str]]) -> dict[str, tuple[float, float]]:
    places = {}
    for number, row in enumerate(rows):
        widths = [_box_width(part) for part in row]
        # Rows stand aside by turns, so that arrows pass between boxes.
        gap = 70 if len(row) < 4 else 30
        aside = (-110, 40, 110, -40)[number % 4] if len(row) < 4 else 0
        x = (_WIDTH + _LEFT - sum(widths) - gap * (len(row) - 1)) / 2 + aside
        for part, width in zip(row, widths, strict=True):
            places[part] = (x + width / 2, _TOP + _BOX_HEIGHT / 2 + number * _ROW)
            x += width + gap
    return places


def _box_width(part: str) -> float:
    return 22 + _LETTER * len(part)


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    y1, y2 = start[1] + _BOX_HEIGHT / 2, end[1] - _BOX_HEIGHT / 2 - 4
    bend = min(40.0, (y2 - y1) / 2)
    return (
        f'<path d="M{start[0]:.0f},{y1:.0f} C{start[0]:.0f},{y1 + bend:.0f} '
        f'{end[0]:.0f},{y2 - bend:.0f} {end[0]:.0f},{y2:.0f}" fill="none" stroke="#767676" '
        'stroke-width="1.2" marker-end="url(#tip)"/>'
    )


def _box(part: str, place: tuple[float, float], fill: str) -> str:
    width = _box_width(part)
    return (
        f'<rect x="{place[0] - width / 2:.0f}" y="{place[1] - _BOX_HEIGHT / 2:.0f}" '
        f'width="{width:.0f}" height="{_BOX_HEIGHT}" rx="6" fill="{fill}" stroke="#44546a"/>'
        f'<text x="{place[0]:.0f}" y="{place[1] + 5:.0f}" text-anchor="middle">'
        f"{escape(part)}</text>"
    )


def draw(rows: list[list[str]], arrows: list[tuple[str, str]]) -> str:
    """Return the map as SVG."""
    places = _centres(rows)
    height = _TOP + len(rows) * _ROW
    numbers = [
        f'<text x="14" y="{_TOP + _BOX_HEIGHT / 2 + 5 + n * _ROW:.0f}" fill="#767676">'
        f"{len(rows) - 1 - n}</text>"
        for n in range(len(rows))
    ]
    lines = [_arrow(places[start], places[end]) for start, end in arrows]
    boxes = [
        _box(part, places[part], _FILL[number % 2])
        for number, row in enumerate(rows)
        for part in row
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
                'font-family="sans-serif" font-size="14" role="img">'
            ),
            "<title>Who imports whom: arrows lead to what is used</title>",
            (
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
                'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#767676"/>'
                "</marker></defs>"
            ),
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *lines,
            *numbers,
            *boxes,
            "</svg>\n",
        ]
    )


def make() -> str:
    """Return the map of the source as it is."""
    rows = read_rows()
    parts = [part for row in rows for part in row]
    return draw(rows, reduced(read_arrows(parts)))


if __name__ == "__main__":
    OUT.write_text(make(), encoding="utf-8")
    sys.stdout.write(f"{OUT.relative_to(ROOT)}\n")
