"""A report on one slide: one HTML file without links or scripts, below 5 MB.

Slide id, file name and folders may tell who the patient is: they are left out unless asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.export.html_page import note, page, section
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.map_colors import codeword_raster, map_raster
from napari_dre_slcl.export.report_maps import MOST_EVIDENCE, highest_tiles, shown_maps
from napari_dre_slcl.export.report_parts import (
    clusters_part,
    map_figure,
    pictures_symbol,
    predictions_part,
    rows_table,
    tiles_figure,
)
from napari_dre_slcl.export.report_pictures import overview_uri, tile_uris
from napari_dre_slcl.export.report_style import REPORT_STYLE
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.layers import value_text
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide

__all__ = ["slide_report", "write_slide_report"]

_CLUSTERS = "Tile clusters; colours and names in the table below"
# Of the provenance, what cannot name a slide or a folder.
_NEUTRAL = (
    "napari-dre-slcl",
    "model_sha256",
    "method",
    "encoder",
    "predicted",
    "encoded",
    "least tissue",
)
_WORDS = {
    "napari-dre-slcl": "Predicted by napari-dre-slcl",
    "model_sha256": "Model (SHA-256 of its weights)",
    "model": "Model folder",
    "method": "Method",
    "encoder": "Tile encoder",
    "predicted": "Time of prediction",
    "encoded": "Newly encoded",
    "least tissue": "Least tissue of a tile",
    "tissue mask": "Tissue mask",
    "tissue tiles": "Tiles",
}
_QUOTED_PATH = re.compile(r"'(?:[/\\~]|[A-Za-z]:)[^']*'")
_IN_QUALITY = ("tissue tiles", "tiles", "damaged")


@dataclass(frozen=True, slots=True)
class _Source:
    """What the page is made of."""

    result: SlideResult
    look: CodewordLook
    slide: Slide | None
    has_names: bool

    def neutral(self, text: str) -> str:
        """Take the slide's names out of a sentence, unless they are asked for."""
        if self.has_names:
            return text
        paths = [Path(self.result.slide_path)]
        if self.slide is not None:
            paths.append(Path(self.slide.info.path))
        told = {self.result.slide_id: "(slide)"}
        for path in paths:
            told[str(path.parent)] = "(folder)"
            told |= dict.fromkeys((str(path), path.name, path.stem), "(slide)")
        for name in sorted(told, key=len, reverse=True):
            if name.strip("./"):
                # Whole words only: a slide may be called 1, or a.
                text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", told[name], text)
        return _QUOTED_PATH.sub("'(file)'", text)


def write_slide_report(
    result: SlideResult,
    look: CodewordLook,
    slide: Slide | None,
    path: Path,
    *,
    has_names: bool = False,
    on_step: OnStep = no_step,
) -> Path:
    """Write the report, whole or not at all; parameters as of `slide_report`.

    Raises
    ------
    SlideError
        If the slide cannot be read.
    OSError
        If the file cannot be written.
    """
    write_text(path, slide_report(result, look, slide, has_names=has_names, on_step=on_step))
    return path


def slide_report(
    result: SlideResult,
    look: CodewordLook,
    slide: Slide | None,
    *,
    has_names: bool = False,
    on_step: OnStep = no_step,
) -> str:
    """Return the report as an HTML document.

    Parameters
    ----------
    result : SlideResult
        Of the slide.
    look : CodewordLook
        Names and colours of the codewords.
    slide : Slide or None
        For the pictures; None makes a page without them.
    has_names : bool
        Put in slide id, file name and folders, which may tell who the patient is.
    on_step : callable, optional
        Called with (parts done, parts in all); may raise to break off.
    """
    source = _Source(result, look, slide, has_names)
    title = f"Slide {result.slide_id}" if has_names else "Slide"
    makers = (_pictures, _about, _predictions, _quality, _maps, _top_tiles, _clusters, _provenance)
    parts = []
    for number, make in enumerate(makers):
        on_step(number, len(makers))
        parts.append(make(source))
    return page(title, parts, REPORT_STYLE)


def _pictures(source: _Source) -> str:
    if source.slide is None:
        return ""
    return pictures_symbol(overview_uri(source.slide), source.result.slide_shape)


def _about(source: _Source) -> str:
    result = source.result
    height, width = result.slide_shape
    rows = []
    if source.has_names:
        rows += [("Slide", result.slide_id), ("File", result.slide_path)]
    if height and width:
        rows.append(("Size", f"{width:,} x {height:,} px, wide x high"))
    if result.mpp is None:
        rows.append(("Pixel size", "unknown"))
    else:
        rows.append(("Pixel size", f"{result.mpp:.4g} µm ({source.neutral(result.mpp_source)})"))
        if height and width:
            size = f"{width * result.mpp / 1000:.1f} x {height * result.mpp / 1000:.1f} mm"
            rows.append(("Size on the glass", size))
    picture = map_figure(result, None, "The slide") if source.slide is not None else ""
    return f'<div class="about">{picture}<div>{rows_table(rows)}</div></div>'


def _predictions(source: _Source) -> str:
    return predictions_part(source.result)


def _quality(source: _Source) -> str:
    result = source.result
    # Feature files may not say where their tiles lie; how many were used stands below then.
    rows = [("Tiles used", f"{len(result.rowcol):,}")] if len(result.rowcol) else []
    if "tissue tiles" in result.provenance:
        _, sign, reasons = result.provenance["tissue tiles"].partition("; left out: ")
        if sign:
            rows.append(("Tiles left out", reasons))
    rows += [
        ("Tiles", source.neutral(result.provenance[name]))
        for name in ("tiles", "damaged")
        if name in result.provenance
    ]
    if result.mpp is not None and result.tile_size_px:
        edge = result.tile_size_px * result.mpp
        rows.append(("Edge of a tile", f"{edge:.0f} µm, {result.tile_size_px} px of the slide"))
        if len(result.rowcol):
            rows.append(("Tissue area", f"{len(result.rowcol) * (edge / 1000) ** 2:.1f} mm²"))
    findings = () if source.slide is None else source.slide.info.findings
    rows += [(f"Pixel size: {one.severity}", source.neutral(one.sentence)) for one in findings]
    return section("Quality", [rows_table(rows)])


def _maps(source: _Source) -> str:
    result = source.result
    if source.slide is None or not len(result.rowcol):
        return ""
    figures = []
    if result.n_codewords:
        figures.append(map_figure(result, codeword_raster(result, source.look), _CLUSTERS))
    for choice in shown_maps(result):
        one = choice.make()
        figures.append(map_figure(result, map_raster(result, one), one.label, one))
    return section("Maps", [f'<div class="maps">{"".join(figures)}</div>', _left_out(result)])


def _left_out(result: SlideResult) -> str:
    n_more = len(result.evidence_of) - MOST_EVIDENCE
    if n_more <= 0:
        return ""
    return note(f"{n_more} more maps of evidence are not shown here; the other exports have them.")


def _top_tiles(source: _Source) -> str:
    if source.slide is None or not len(source.result.rowcol):
        return ""
    return section("Tiles that count most", list(_tile_rows(source, source.slide)))


def _tile_rows(source: _Source, slide: Slide) -> Iterator[str]:
    for choice in shown_maps(source.result):
        if choice.key == "distance":
            continue
        one = choice.make()
        top = highest_tiles(one)
        said = [value_text(one.unit, float(value)) for value in one.values[top]]
        if len(top):
            yield tiles_figure(one.title, tile_uris(slide, source.result, top), said)


def _clusters(source: _Source) -> str:
    return clusters_part(source.result, source.look)


def _provenance(source: _Source) -> str:
    facts = source.result.provenance
    names = [
        name for name in facts if name not in _IN_QUALITY and (source.has_names or name in _NEUTRAL)
    ]
    rows = [(_WORDS.get(name, name.capitalize()), facts[name]) for name in names]
    rows.append(("Report by napari-dre-slcl", __version__))
    parts = [rows_table(rows)]
    if not source.has_names:
        parts.append(note("Without slide id, file name and folders, which may name the patient."))
    return section("Provenance", parts)
