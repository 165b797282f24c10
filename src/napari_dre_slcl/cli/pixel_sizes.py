"""``dre-slcl mpp``: what is known and doubtful of slides' pixel sizes, and answers to store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from napari_dre_slcl.cli.console import lines, output, print_json, say, say_error
from napari_dre_slcl.cli.slide_info import pixel_size_text
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import SlideInfo, open_slide
from napari_dre_slcl.slide.mpp_table import forget_mpp, remember_mpp

__all__ = ["check_pixel_sizes"]


def check_pixel_sizes(
    slides: Sequence[Path], mpp: float | None, should_forget: bool, as_json: bool
) -> bool:
    """Store or forget the pixel size of slides where that is asked for, then print what holds.

    Parameters
    ----------
    slides : sequence of Path
        Slide files or DICOM folders.
    mpp : float or None
        To store, in µm.
    should_forget : bool
        Take stored sizes out.
    as_json : bool
        Print one JSON line per slide instead of a table.

    Returns
    -------
    bool
        Whether every slide could be opened; those that could not are named.
    """
    infos: list[SlideInfo] = []
    tables: dict[Path, int] = {}
    for path in slides:
        try:
            with open_slide(path):
                pass  # nothing is stored for what is no slide
            for table in _change(path, mpp, should_forget):
                tables[table] = tables.get(table, 0) + 1
            with open_slide(path) as slide:
                infos.append(slide.info)
        except SlideError as error:
            say_error(str(error))
    if as_json:
        for info in infos:
            print_json(json.dumps(_record(info)))
    elif infos:
        output().print(_table(infos))
        verb = "Forgot" if should_forget else "Stored"
        for table, count in tables.items():
            say(f"{verb} {count} pixel size{'s' if count > 1 else ''} in {table}")
    return len(infos) == len(slides)


def _change(path: Path, mpp: float | None, should_forget: bool) -> tuple[Path, ...]:
    if should_forget:
        return forget_mpp(path)
    return () if mpp is None else (remember_mpp(path, mpp),)


def _record(info: SlideInfo) -> dict[str, object]:
    return info.model_dump(mode="json", include={"path", "mpp", "mpp_source", "findings"})


def _table(infos: Sequence[SlideInfo]) -> Table:
    table = Table("Slide", "Pixel size", "What to know", show_lines=True)
    for info in infos:
        told = [f"{found.severity.capitalize()}: {found.sentence}" for found in info.findings]
        table.add_row(Path(info.path).name, pixel_size_text(info), lines(told or ["-"]))
    return table
