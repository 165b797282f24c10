"""The parts of a slide's report as HTML: predictions, quality, maps, tiles, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.export.html_page import note, section, table
from napari_dre_slcl.export.html_text import escape
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.report_pictures import map_uri, ramp_uri
from napari_dre_slcl.layers import TileMap, codeword_shares, value_text
from napari_dre_slcl.layers.maps import times_average
from napari_dre_slcl.results import SlideResult, TaskPrediction

__all__ = [
    "clusters_part",
    "map_figure",
    "pictures_symbol",
    "predictions_part",
    "rows_table",
    "tiles_figure",
]


def predictions_part(result: SlideResult) -> str:
    """Return the predictions with bars and intervals."""
    rows = [row for one in result.predictions for row in _prediction_rows(one)]
    if not rows:
        return ""
    parts = [_table(("Task", "Class", "Probability", "", "95 % interval", ""), rows)]
    if any(one.low for one in result.predictions):
        parts.append(
            note(
                "The interval says how much the answer hangs on which tissue was seen: 95 % of "
                "the answers when as many tiles are drawn again with replacement. It does not say "
                "how often the model is right, and it is rather too narrow, for tiles side by "
                "side are alike. No call: the most probable class changes in more than one of "
                "twenty such draws."
            )
        )
    parts.append(note("For research use. A model's answer is no diagnosis."))
    return section("Predictions", parts)


def _prediction_rows(prediction: TaskPrediction) -> list[str]:
    rows = []
    for number, (name, value) in enumerate(
        zip(prediction.classes, prediction.probabilities, strict=True)
    ):
        interval = ""
        if prediction.low and prediction.high:
            interval = f"{prediction.low[number]:.2f} to {prediction.high[number]:.2f}"
        is_answer = name == prediction.predicted
        call = ("no call" if prediction.is_uncertain else "answer") if is_answer else ""
        task = escape(prediction.task) if number == 0 else ""
        words = f"<strong>{escape(name)}</strong>" if is_answer else escape(name)
        bar = f'<span class="track"><span class="bar" style="width:{value:.1%}"></span></span>'
        rows.append(
            f'<tr><td>{task}</td><td>{words}</td><td class="number">{value:.2f}</td>'
            f'<td>{bar}</td><td class="number">{interval}</td><td>{call}</td></tr>'
        )
    return rows


def clusters_part(result: SlideResult, look: CodewordLook) -> str:
    """Return the codewords with colour, name, share and mean attention."""
    if not result.n_codewords or not len(result.codeword):
        return ""
    shares = codeword_shares(result)
    counts = np.bincount(result.codeword, minlength=result.n_codewords)
    sums = np.bincount(result.codeword, times_average(result), minlength=result.n_codewords)
    rows = []
    for number, name in enumerate(look.names):
        mean = f"{sums[number] / counts[number]:.2f}" if counts[number] else "–"
        swatch = f'<span class="swatch" style="background:{look.hex(number)}"></span>'
        rows.append(
            f'<tr><td>{swatch}</td><td>{escape(name)}</td><td class="number">'
            f'{shares[number]:.1%}</td><td class="number">{counts[number]:,}</td>'
            f'<td class="number">{mean}</td></tr>'
        )
    header = ("", "Codeword", "Share of the slide", "Tiles", "Mean attention (x average)")
    return section(
        "Tile clusters",
        [
            _table(header, rows),
            note(
                "A codeword is a kind of tile that the model has learnt to tell from others; each "
                "tile belongs to the nearest one. Names are given by people."
            ),
        ],
    )


def _table(header: Sequence[str], rows: Sequence[str]) -> str:
    """Return rows that are HTML already as a table."""
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def pictures_symbol(overview: str, shape: tuple[int, int]) -> str:
    """Return the hidden drawing that every map of the page is laid over, stored once."""
    height, width = shape
    return (
        '<svg class="hidden" width="0" height="0" aria-hidden="true"><defs>'
        f'<image id="slide" href="{overview}" width="{width}" height="{height}" '
        'preserveAspectRatio="none"/></defs></svg>'
    )


def map_figure(
    result: SlideResult,
    colors: NDArray[np.float32] | None,
    title: str,
    tile_map: TileMap | None = None,
) -> str:
    """Return the slide with a map over it, in level-0 pixels, and the map's colours with numbers.

    Parameters
    ----------
    result : SlideResult
        Says where the tiles lie.
    colors : ndarray or None
        (rows, columns, 4) RGBA in 0-1; None shows the slide alone.
    title : str
        Below it.
    tile_map : TileMap, optional
        For colour bar and explanation.
    """
    height, width = result.slide_shape
    over = ""
    if colors is not None:
        rows, cols = (size * result.tile_size_px for size in result.grid_shape)
        over = (
            f'<image class="cells" href="{map_uri(colors)}" width="{cols}" height="{rows}" '
            'preserveAspectRatio="none"/>'
        )
    words = escape(title)
    below = "" if tile_map is None else _color_bar(tile_map)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{words}">'
        f'<use href="#slide"/>{over}</svg><figcaption>{words}{below}</figcaption></figure>'
    )


def _color_bar(tile_map: TileMap) -> str:
    low, high = tile_map.limits
    ends = "".join(
        f"<span>{value_text('', value)}</span>" for value in (low, (low + high) / 2, high)
    )
    return (
        f'<img class="ramp" src="{ramp_uri(tile_map)}" alt="colours from low to high">'
        f'<span class="ends">{ends}</span><span class="note">{escape(tile_map.explanation)}</span>'
    )


def tiles_figure(title: str, pictures: Sequence[str], said: Sequence[str]) -> str:
    """Return single tiles in a row, each with what is said of it."""
    shown = "\n".join(
        f'<figure class="tile"><img src="{picture}" alt="tile, {escape(words)}" width="128" '
        f'height="128"><figcaption>{escape(words)}</figcaption></figure>'
        for picture, words in zip(pictures, said, strict=True)
    )
    return section(title, [f'<div class="tiles">{shown}</div>'], level=3) if shown else ""


def rows_table(rows: Iterable[tuple[str, str]]) -> str:
    """Return name and value, one below the other."""
    return table(("What", "Value"), list(rows))
