"""Draw the figures of the pages on the method and on coordinates, as SVG.

Run it after a change: python scripts/figures.py. A test compares the files with what it draws.
"""

from __future__ import annotations

import math
import random
import sys
from html import escape
from pathlib import Path

from napari_dre_slcl.export.svg_marks import COLORS, GREY

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
INK, PAPER, TISSUE = "#30343f", "#ffffff", "#e8c7dc"
CODES = (COLORS[0], COLORS[1], COLORS[2])


def text(
    x: float, y: float, words: str, size: int = 13, anchor: str = "middle", **style: str
) -> str:
    """Return words at a place."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{INK}"{more}>{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str = "none", **style: str) -> str:
    """Return a rectangle; a line around it in ink unless told otherwise."""
    stroke = style.pop("stroke", INK)
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
        f'stroke="{stroke}"{more}/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    """Return a straight arrow; dashed for what passes no gradient."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<path d="M{x1:g},{y1:g} L{x2:g},{y2:g}" stroke="{INK}" stroke-width="1.5" '
        f'fill="none" marker-end="url(#tip)"{dash}/>'
    )


def labelled(x: float, y: float, width: float, height: float, lines: list[str], fill: str) -> str:
    """Return a box with lines of words in its middle."""
    first = y + height / 2 - 8 * (len(lines) - 1) + 4
    words = (text(x + width / 2, first + 16 * n, line) for n, line in enumerate(lines))
    return "\n".join([box(x, y, width, height, fill, rx="6"), *words])


def page(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return a whole SVG file."""
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                'font-family="sans-serif" role="img">'
            ),
            f"<title>{escape(title)}</title>",
            (
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
                f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker>'
                "</defs>"
            ),
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _slide(x: float, y: float, cell: float, rows: list[str]) -> list[str]:
    """Draw a grid: `#` tissue, `*` a tile that is drawn, a digit the tissue's codeword."""
    parts = []
    for row, line in enumerate(rows):
        for column, sign in enumerate(line):
            fill = PAPER if sign == "." else TISSUE
            parts.append(box(x + column * cell, y + row * cell, cell, cell, fill, stroke="#c9ccd3"))
    for row, line in enumerate(rows):
        for column, sign in enumerate(line):
            if sign == "*":
                at = (x + column * cell, y + row * cell, cell, cell)
                parts.append(box(*at, stroke=COLORS[1], stroke_width="3"))
    return parts


def _bank(x: float, y: float) -> list[str]:
    """Draw rows of features, those that are replaced in this step marked."""
    shades = random.Random(4)
    parts = []
    for row in range(9):
        for column in range(8):
            grey = shades.randrange(120, 236)
            color = f"#{grey:02x}{grey:02x}{min(255, grey + 12):02x}"
            parts.append(box(x + column * 13, y + row * 13, 13, 13, color, stroke=PAPER))
        if row in (1, 4, 6):
            parts.append(box(x - 2, y + row * 13, 108, 13, stroke=COLORS[1], stroke_width="2"))
    return parts


def _residuals(x: float, y: float) -> list[str]:
    """Draw three codewords, the features near each, and the difference of each to it."""
    places = random.Random(7)
    parts = []
    for number, (cx, cy) in enumerate(((30, 30), (118, 42), (66, 104))):
        for _ in range(6):
            angle, far = places.uniform(0, 2 * math.pi), places.uniform(14, 27)
            px, py = x + cx + far * math.cos(angle), y + cy + far * math.sin(angle)
            parts.append(
                f'<path d="M{x + cx:g},{y + cy:g} L{px:.1f},{py:.1f}" stroke="{CODES[number]}"/>'
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{CODES[number]}"/>'
            )
        side = 11
        corner = (x + cx - side / 2, y + cy - side / 2)
        parts.append(box(*corner, side, side, CODES[number]))
        parts.append(text(x + cx + 12, y + cy - 8, f"c{number + 1}", 12, "start"))
    return parts


def method() -> str:
    """Return the figure of one training step, from tiles to the slide's vector."""
    slide = ["..####...", ".##*####.", ".#####*##", "..####*#.", "...*###..", "....##..."]
    bars = [box(696, 92 + 26 * n, 60, 20, color, stroke=INK) for n, color in enumerate(CODES)] + [
        text(726, 107 + 26 * n, f"v{n + 1}", 12, style="fill:#ffffff") for n in range(3)
    ]
    parts = [
        text(100, 42, "a slide's tiles", 14, font_weight="bold"),
        *_slide(28, 50, 16, slide),
        text(100, 168, "few are drawn in a step", 12),
        arrow(176, 98, 224, 98),
        labelled(226, 70, 104, 56, ["tile encoder", "(trained)"], "#fdeed8"),
        arrow(330, 98, 372, 98),
        text(351, 90, "stored", 11),
        (
            f'<path d="M278,70 C285,8 500,4 540,56" stroke="{INK}" stroke-width="1.5" '
            'fill="none" marker-end="url(#tip)"/>'
        ),
        text(400, 13, "fresh features, with gradient", 11),
        text(430, 42, "memory bank", 14, font_weight="bold"),
        *_bank(378, 50),
        text(430, 186, "one feature per tile;", 12),
        text(430, 202, "fresh ones replace old", 12),
        arrow(486, 108, 528, 108, dashed=True),
        text(660, 30, "codebook and residuals", 14, font_weight="bold"),
        *_residuals(524, 44),
        text(600, 196, "each feature less its", 12),
        text(600, 212, "nearest codeword, summed", 12),
        arrow(662, 118, 692, 118),
        *bars,
        text(726, 186, "VLAD", 12),
        arrow(726, 196, 726, 226),
        labelled(640, 228, 172, 48, ["slide encoder", "(trained)"], "#fdeed8"),
        arrow(640, 252, 566, 252),
        labelled(424, 230, 140, 44, ["slide vector"], "#dbe9f6"),
        arrow(494, 274, 494, 312),
        labelled(424, 314, 140, 44, ["heads: subtype,", "mutations …"], "#fdeed8"),
        labelled(28, 230, 132, 44, ["report"], "#e9f1df"),
        arrow(160, 252, 196, 252, dashed=True),
        labelled(198, 230, 112, 44, ["text encoder", "(fixed)"], "#eeeeee"),
        arrow(310, 244, 420, 244, dashed=True),
        text(365, 236, "contrast:", 12),
        text(365, 268, "own report near,", 12),
        text(365, 284, "others' far", 12),
        text(28, 346, "Dashed: no gradient passes.", 12, "start", fill_opacity="0.8"),
    ]
    return page(840, 376, "One training step, from tiles to the slide's vector", parts)


def coordinates() -> str:
    """Return the figure of levels, tile grid and a tile's addresses."""
    rows = ["......", "..###.", ".####.", ".#*##.", "..##..", "......"]
    x, y, cell = 80, 60, 38
    tile = (x + 2 * cell, y + 3 * cell)
    parts = [
        text(x + 3 * cell, 24, "level 0 with its tile grid", 14, font_weight="bold"),
        *_slide(x, y, cell, rows),
        *(text(x + cell * (n + 0.5), y - 6, str(n), 11) for n in range(6)),
        *(text(x - 10, y + cell * (n + 0.6), str(n), 11) for n in range(6)),
        text(x - 44, y + 8, "(0, 0)", 12),
        arrow(x - 34, y + 20, x - 34, y + 90),
        text(x - 48, y + 60, "y", 13),
        arrow(x, y + 6 * cell + 22, x + 80, y + 6 * cell + 22),
        text(x + 40, y + 6 * cell + 40, "x", 13),
        arrow(390, 150, tile[0] + cell + 6, tile[1] + cell / 2),
        text(400, 76, "this tile, at 0.25 µm per pixel", 14, "start", font_weight="bold"),
        text(400, 104, "row 3, column 2 of the grid", 13, "start"),
        text(400, 126, "edge: 256 px × 0.5 µm / 0.25 µm = 512 px", 13, "start"),
        text(400, 148, "corner in Python: (y, x) = (1536, 1024) px", 13, "start"),
        text(400, 170, "corner in µm: (384, 256)", 13, "start"),
        text(400, 192, "corner in QuPath: x = 1024, y = 1536", 13, "start"),
        text(400, 240, "levels 1 and 2: the same slide, smaller", 13, "start", font_weight="bold"),
        box(404, 252, 57, 57, TISSUE, stroke=GREY),
        text(440, 326, "4 × 4 smaller", 11),
        box(530, 295, 14, 14, TISSUE, stroke=GREY),
        text(540, 326, "16 × 16 smaller", 11),
        text(400, 350, "Positions stay in pixels of level 0.", 12, "start", fill_opacity="0.8"),
    ]
    return page(760, 364, "A slide's levels, its tile grid, and the addresses of a tile", parts)


FIGURES = {"method.svg": method, "coordinates.svg": coordinates}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")
        sys.stdout.write(f"docs/images/{name}\n")
