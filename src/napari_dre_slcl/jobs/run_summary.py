"""A run in one line: where it stands, how far it has come, and its last figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_dre_slcl.jobs.follow import EventTail
from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Metric, Progress
from napari_dre_slcl.jobs.run_status import RunStatus, read_status
from napari_dre_slcl.untrusted import read_json

__all__ = ["RunSummary", "age_text", "state_text", "summarise_run"]

# Some hundred lines: the last epoch's figures are among them.
_TAIL_BYTES = 2**16
_STATE_TEXTS = {
    "running": "running",
    "paused": "paused",
    "finished": "done",
    "failed": "ended with an error",
    "cancelled": "cancelled",
    "lost": "ended unexpectedly",
    "unknown": "cannot be read",
    "gone": "folder is gone",
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a list of runs shows.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    status : RunStatus
        Where it stands.
    is_there : bool
        Whether the folder exists.
    method, preset, cohort, pinned : str
        Of its job; empty where unknown.
    stage, done, total : str, int, int
        Of the last stage of which it has told.
    figures : dict
        Of the last epoch that has ended.
    test : dict
        Held-out figures of a run that has ended well.
    heard : datetime or None
        When it last wrote anything.
    model : Path or None
        Folder of its model, where there is one.
    """

    run_dir: Path
    status: RunStatus
    is_there: bool = True
    method: str = ""
    preset: str = ""
    cohort: str = ""
    pinned: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    heard: datetime | None = None
    model: Path | None = None

    @property
    def state(self) -> str:
        """State of the run, ``gone`` where its folder is."""
        return self.status.state if self.is_there else "gone"


def summarise_run(run_dir: Path) -> RunSummary:
    """Read what can be known of a run from its folder; never raises.

    Parameters
    ----------
    run_dir : Path
        The run folder, of a run under way or not.
    """
    if not run_dir.is_dir():
        return RunSummary(run_dir, RunStatus("unknown"), is_there=False)
    job = _json(run_dir / "job.json")
    overrides = job.get("overrides")
    changes = overrides if isinstance(overrides, dict) else {}
    stage, figures = _last_told(run_dir)
    model = run_dir / "model"
    test = {
        name: float(value)
        for name, value in _json(run_dir / "metrics.json").items()
        if isinstance(value, (int, float)) and name.startswith("test/auc/")
    }
    return RunSummary(
        run_dir=run_dir,
        status=read_status(run_dir),
        method=str(changes.get("method", "dre-slcl")) if job else "",
        preset=str(job.get("preset", "")),
        cohort=str(job.get("cohort", "")),
        pinned=str(job.get("pinned") or ""),
        stage=stage.stage if stage else "",
        done=stage.done if stage else 0,
        total=stage.total if stage else 0,
        figures=figures,
        test=test,
        heard=_heard(run_dir),
        model=model if (model / "model.json").is_file() else None,
    )


def state_text(summary: RunSummary) -> str:
    """Return the state in words, with how far it has come: ``running, 43%``."""
    text = _STATE_TEXTS[summary.state]
    if summary.status.is_active and summary.total:
        return f"{text}, {100 * summary.done // summary.total}%"
    return text


def age_text(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago a moment was: ``now``, ``5 min ago``, ``2 d ago``; empty for none."""
    if moment is None:
        return ""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    if seconds < 45:
        return "now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size or unit == "min":
            return f"{max(1, round(seconds / size))} {unit} ago"
    return ""


def _last_told(run_dir: Path) -> tuple[Progress | None, dict[str, float]]:
    stage: Progress | None = None
    training: Progress | None = None
    figures: dict[str, float] = {}
    for event in EventTail(run_dir, _TAIL_BYTES).read():
        if isinstance(event, Progress) and event.stage != PAUSED_STAGE:
            stage = event
            training = event if event.stage == "Training" else training
        elif isinstance(event, Metric):
            figures = event.values
    # How far the whole has come is told by the epochs, not by what is done between two of them.
    is_between = training is not None and training.done < training.total
    return (training if is_between else stage), figures


def _heard(run_dir: Path) -> datetime | None:
    times = []
    for name in ("events.jsonl", "status.json", "losses.csv"):
        try:
            times.append((run_dir / name).stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
