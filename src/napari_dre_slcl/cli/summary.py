"""The one page that ``dre-slcl demo`` leaves: what was done, how good it is, where it all is."""

from __future__ import annotations

import csv
import html
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from napari_dre_slcl import __version__
from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cli.tables import probabilities
from napari_dre_slcl.results import SlideResult, load_result

__all__ = ["DemoOutcome", "attention_auc", "attention_sentence", "write_summary"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>napari-dre-slcl demonstration</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ border: 1px solid #bbb; padding: .2em .7em; text-align: left; }}
img {{ max-width: 100%; }}
</style></head><body>
<h1>napari-dre-slcl demonstration</h1>
<p>Version {version}. Slides were generated, a DRE-SLCL model was trained on their pixels, labels
and reports, and evaluated on patients that it never saw. The slides are synthetic: the figures
show that the software works, not what it would reach on patients' tissue.</p>
<h2>Cohort</h2>{cohort}
<h2>AUC on held-out patients</h2>{aucs}
<h2>Prediction of the held-out slide {slide_id}</h2>{predictions}
<p>{attention}</p>
<p><a href="{picture}"><img src="{picture}" alt="napari with slide, clusters, attention and
predictions"></a></p>
<h2>Time</h2>{times}
<h2>Files</h2>{files}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the page tells.

    Parameters
    ----------
    table : Path
        Cohort table.
    row : mapping of str
        Its row of the predicted slide.
    aucs : mapping of float
        Held-out AUC by task.
    result : Path
        Result file of the predicted slide.
    picture : Path
        Screenshot.
    run_paths : mapping of Path
        What the training wrote.
    seconds : mapping of float
        Time by stage.
    """

    table: Path
    row: Mapping[str, str]
    aucs: Mapping[str, float]
    result: Path
    picture: Path
    run_paths: Mapping[str, Path]
    seconds: Mapping[str, float]


def write_summary(outcome: DemoOutcome, page: Path) -> Path:
    """Write the page.

    Parameters
    ----------
    outcome : DemoOutcome
        What it tells.
    page : Path
        HTML file to write.

    Returns
    -------
    Path
        ``page``.
    """
    result = load_result(outcome.result)
    text = _PAGE.format(
        version=html.escape(__version__),
        cohort=_cohort_table(outcome.table),
        aucs=_html_table(("Task", "AUC"), ((t, f"{auc:.3f}") for t, auc in outcome.aucs.items())),
        slide_id=html.escape(result.slide_id),
        predictions=_prediction_table(result, outcome.row),
        attention=attention_sentence(result, outcome.table),
        picture=_link(outcome.picture, page),
        times=_html_table(
            ("Stage", "Seconds"), ((s, f"{took:.0f}") for s, took in outcome.seconds.items())
        ),
        files=_file_list(outcome, page),
    )
    write_text(page, text)
    return page


def attention_auc(result: SlideResult, tumour_tiles: Path) -> float | None:
    """Return how well attention ranks the known tumour tiles above the others.

    Parameters
    ----------
    result : SlideResult
        Of a slide of the built-in cohort.
    tumour_tiles : Path
        ``tumour_tiles.csv`` beside the cohort table.

    Returns
    -------
    float or None
        AUC over the slide's tiles; None where only one kind is known.
    """
    with tumour_tiles.open(encoding="utf-8", newline="") as stream:
        truth = {
            (int(row["row"]), int(row["col"])): int(row["is_tumour"])
            for row in csv.DictReader(stream)
            if row["slide_id"] == result.slide_id
        }
    cells = [(int(row), int(column)) for row, column in result.rowcol]
    known = np.array([cell in truth for cell in cells], dtype=bool)
    labels = np.array([truth.get(cell, 0) for cell in cells])[known]
    if len(set(labels.tolist())) < 2:
        return None
    return float(roc_auc_score(labels, result.attention[known]))


def attention_sentence(result: SlideResult, table: Path) -> str:
    """Return how well attention finds the tumour tiles, as a sentence."""
    tumour_tiles = table.with_name("tumour_tiles.csv")
    auc = attention_auc(result, tumour_tiles) if tumour_tiles.is_file() else None
    if auc is None:
        return "No tile-level truth is known for this slide."
    return f"Attention ranks the slide's tumour tiles above its other tiles with AUC {auc:.3f}."


def _cohort_table(table: Path) -> str:
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    counts = Counter((row["split"], row["subtype"] or "normal") for row in rows)
    kinds = sorted({kind for _, kind in counts})
    lines = [
        (split, *(str(counts[split, kind]) for kind in kinds))
        for split in sorted({split for split, _ in counts}, reverse=True)
    ]
    return _html_table(("Split", *(f"{kind} slides" for kind in kinds)), lines)


def _prediction_table(result: SlideResult, row: Mapping[str, str]) -> str:
    lines = (
        (p.task, p.predicted, probabilities(p), row.get(p.task) or "unknown")
        for p in result.predictions
    )
    return _html_table(("Task", "Prediction", "Probabilities", "Truth"), lines)


def _file_list(outcome: DemoOutcome, page: Path) -> str:
    files = {"cohort table": outcome.table, "result": outcome.result, **outcome.run_paths}
    items = (
        f'<li>{html.escape(name)}: <a href="{_link(path, page)}">{_link(path, page)}</a></li>'
        for name, path in files.items()
    )
    return f"<ul>{''.join(items)}</ul>"


def _link(path: Path, page: Path) -> str:
    return html.escape(Path(os.path.relpath(path.resolve(), page.parent.resolve())).as_posix())


def _html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line(header, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
