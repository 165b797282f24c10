"""What the panels write: facts of a slide, a grid, a result, in the user's words. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_dre_slcl.cohort.tasks import NEGATIVE_CLASSES
from napari_dre_slcl.gui.tissue_state import TissueState
from napari_dre_slcl.results import SlideResult, TaskPrediction
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.tiles import TileGrid
from napari_dre_slcl.tiles.wording import left_out_text, tiles_text

__all__ = [
    "PredictionRow",
    "encoded_text",
    "epoch_text",
    "interval_hint",
    "interval_text",
    "metric_rows",
    "prediction_rows",
    "preview_text",
    "provenance_text",
    "seconds_rows",
    "share_text",
    "slide_rows",
    "tissue_note",
]

_UM_AT_1X = 10.0
"""A pixel of a scan at 40x is about 0.25 µm wide, at 20x about 0.5 µm."""


def slide_rows(info: SlideInfo) -> list[tuple[str, str]]:
    """Return (name, value) lines about a slide."""
    height, width = info.shape
    reason = f": {info.backend_reason}" if info.backend_reason else ""
    factors = ", ".join(f"{factor:.4g}" for factor in info.level_downsamples)
    return [
        ("File", info.path.replace("\\", "/").rsplit("/", 1)[-1]),
        ("Size", f"{width:,} x {height:,} px, wide x high"),
        ("Pixel size", mpp_text(info)),
        ("Magnification", magnification_text(info)),
        ("Levels", f"{len(info.level_shapes)} (downsampled {factors})"),
        ("Format", f"{info.vendor}, read by {info.backend}{reason}"),
    ]


def magnification_text(info: SlideInfo) -> str:
    """Return the magnification that the file states, else what its pixel size comes to."""
    if info.objective_power is not None:
        return f"{info.objective_power:g}x"
    if info.mpp is None:
        return "not stated"
    return f"not stated; the pixel size is that of about {_UM_AT_1X / info.mpp:.2g}x"


def mpp_text(info: SlideInfo) -> str:
    """Return the pixel size of a slide with where it comes from."""
    if info.mpp is None:
        return "unknown: layers are in pixels"
    return f"{info.mpp:.4g} µm ({info.mpp_source})"


def preview_text(grid: TileGrid, n_unseen: int) -> str:
    """Return how many tiles of a slide would be used, and why the others are not.

    Parameters
    ----------
    grid : TileGrid
        The tiles, perhaps none.
    n_unseen : int
        Tiles that were not yet looked at for blur.

    Returns
    -------
    str
    """
    if not len(grid):
        return (
            f"No tile is left: of {grid.status.size:,} tiles {left_out_text(grid)}. Lower the "
            "threshold or the least tissue, or add tissue with the brush."
        )
    text = f"{tiles_text(grid)}. A tile has {grid.tile_px} px of {grid.target_mpp:g} µm."
    return f"{text} {n_unseen:,} still to be checked for blur…" if n_unseen else text


def tissue_note(state: TissueState | None) -> str:
    """Return what the user has changed of a slide's tissue, as a prediction will use it."""
    if state is None:
        return ""
    changes = []
    if state.threshold is not None:
        changes.append(f"threshold {state.threshold}")
    if state.is_painted:
        changes.append("painted mask")
    if state.min_tissue is not None:
        changes.append(f"least tissue {state.min_tissue:.0%}")
    return f"With the tissue of the Slide tab: {', '.join(changes)}." if changes else ""


def encoded_text(result: SlideResult) -> str:
    """Return why there is no map, or how much was known from before; empty for neither."""
    if not len(result.rowcol):
        return f"{result.provenance.get('tiles', 'The result has no tiles.')} There is no map."
    encoded = result.provenance.get("encoded", "")
    if not encoded or encoded.split()[0] == f"{len(result.rowcol):,}":
        return ""
    return f"Encoded {encoded}; the others were known from the earlier prediction."


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One line about a task: a class, its probability, and the interval where it is known."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def prediction_rows(prediction: TaskPrediction) -> list[PredictionRow]:
    """Return the lines of one task.

    A task that asks yes or no (cancer against normal, mutated against wild type) has one line, for
    yes; every other task has one line per class.
    """
    classes, low, high = prediction.classes, prediction.low, prediction.high
    rows = [
        PredictionRow(name, value, low[number] if low else None, high[number] if high else None)
        for number, (name, value) in enumerate(zip(classes, prediction.probabilities, strict=True))
    ]
    if prediction.positive is None or len(classes) != 2:
        return rows
    yes = classes.index(prediction.positive)
    if classes[1 - yes].lower() not in NEGATIVE_CLASSES:
        return rows
    is_plain = prediction.positive.lower() in {"1", "yes", "true", prediction.task.lower()}
    name = prediction.task if is_plain else f"{prediction.task}: {prediction.positive}"
    return [replace(rows[yes], name=name)]


def interval_text(row: PredictionRow) -> str:
    """Return the probability of a line with its interval, if there is one."""
    if row.low is None or row.high is None:
        return f"{row.value:.2f}"
    return f"{row.value:.2f}, interval {row.low:.2f} to {row.high:.2f}"


def interval_hint(prediction: TaskPrediction) -> str:
    """Return what the interval of a task is and is not; empty where there is none."""
    if not prediction.low:
        return ""
    text = (
        "The line on the bar is where 95 of 100 answers lie when tiles of this slide are drawn\n"
        "again at random. It says how much the answer hangs on which tissue was seen,\n"
        "not how often the model is right. It is rather too short: tiles side by side are\n"
        "alike, and another piece of the same tumour may differ by more."
    )
    if prediction.stability is None:
        return text
    text += f"\nIn {prediction.stability:.0%} of the draws the answer is the same."
    return f"{text} Too few: no call is made." if prediction.is_uncertain else text


def metric_rows(metrics: dict[str, float]) -> list[tuple[str, float]]:
    """Return (name, value) lines of a run's final metrics, AUC of held-out patients first."""
    return [
        (f"{name.rsplit('/', 1)[-1]} AUC" if "/auc/" in name else name, value)
        for name, value in sorted(metrics.items(), key=lambda item: "/auc/" not in item[0])
    ]


def epoch_text(values: dict[str, float]) -> str:
    """Return what an epoch has come to; where its time went is told elsewhere."""
    told = [
        f"{name} {value:.3g}" if name.startswith("lr/") else f"{name} {value:.3f}"
        for name, value in values.items()
        if not name.startswith("seconds/")
    ]
    return ", ".join(told)


def seconds_rows(values: dict[str, float]) -> list[tuple[str, float, str]]:
    """Return (phase, share, text) lines of an epoch's time, in the order of a step."""
    seconds = {
        name.removeprefix("seconds/"): value
        for name, value in values.items()
        if name.startswith("seconds/")
    }
    total = sum(seconds.values()) or 1.0
    return [(name, value / total, f"{value:.1f} s") for name, value in seconds.items()]


def share_text(share: float) -> str:
    """Return a share in per cent; a little is not told as nothing."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def provenance_text(result: SlideResult) -> str:
    """Return where a result comes from, in one line."""
    facts = dict(result.provenance)
    if "model_sha256" in facts:
        facts["model"] = facts.pop("model_sha256")[:12]
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    return f"{len(result.rowcol):,} tiles; {told}" if told else f"{len(result.rowcol):,} tiles"
