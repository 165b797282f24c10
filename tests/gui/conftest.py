"""A tiny cohort, a model trained on it, and a dock in a real napari window."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

# Before napari reads them: the user's own settings are no business of tests.
_SETTINGS = tempfile.mkdtemp(prefix="dre-slcl-test-")
atexit.register(shutil.rmtree, _SETTINGS, ignore_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS) / "settings.yaml")

from napari._qt.widgets.qt_welcome import QtWelcomeWidget  # noqa: E402

from napari_dre_slcl.cohort.synthetic import generate_cohort  # noqa: E402
from napari_dre_slcl.gui import garbage  # noqa: E402
from napari_dre_slcl.gui.dock import DreSlclDock  # noqa: E402
from napari_dre_slcl.gui.session import Session  # noqa: E402
from napari_dre_slcl.jobs.messages import IndexJob, PredictJob, Result, TrainJob  # noqa: E402
from napari_dre_slcl.jobs.worker import run_job  # noqa: E402
from napari_dre_slcl.results import SlideResult, TaskPrediction  # noqa: E402

_TESTS = pytest.StashKey[int]()
TINY = {
    "encoder.name": "test_vit",
    "encoder.input_px": 32,
    "codebook.codewords": 4,
    "codebook.refit_after_epoch": 0,
    "training.epochs": 2,
    "training.fresh_tiles": 2,
    "training.slides_per_batch": 4,
}


@pytest.fixture(autouse=True)
def short_collections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have napari's collection after each test walk what tests have made, not all modules.

    A quarter of the time of these tests was spent on that. Docks would take the modules back
    into collections each time; that they do is what test_garbage is about.
    """
    number = request.config.stash.get(_TESTS, 0)
    request.config.stash[_TESTS] = number + 1
    if number % 20 == 0:
        gc.collect()
        gc.freeze()
    if request.module.__name__.rpartition(".")[2] != "test_garbage":
        monkeypatch.setattr(
            garbage, "gc", SimpleNamespace(freeze=list, unfreeze=list, collect=list)
        )


@pytest.fixture(scope="session", autouse=True)
def unread_welcome() -> Iterator[None]:
    """Spare napari's welcome screen, which no test reads: it was written anew for each shortcut."""

    def refresh(_self: QtWelcomeWidget, _event: object = None) -> None:
        """Write nothing; found by its name."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QtWelcomeWidget, "refresh", refresh)
        yield


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of a generated cohort of eight slides of 1024 px."""
    return generate_cohort(tmp_path_factory.mktemp("cohort") / "c", n_slides=8, side_px=1024)


@pytest.fixture(scope="session")
def slide_path(cohort: Path) -> Path:
    """Return a slide of the cohort."""
    return sorted((cohort.parent / "slides").glob("*.tif"))[0]


@pytest.fixture
def train_job(cohort: Path, tmp_path: Path) -> Callable[..., TrainJob]:
    """Return a function that makes a job of seconds: train_job("run", epochs=3)."""

    def make(run: str = "run", epochs: int = 2) -> TrainJob:
        settings = TINY | {"training.epochs": epochs}
        return TrainJob(
            cohort=cohort, run_dir=tmp_path / run, preset="cpu-small", overrides=settings
        )

    return make


@dataclass(frozen=True)
class Trained:
    """A run folder with a model, and the result of one slide."""

    run_dir: Path
    result_path: Path


@pytest.fixture(scope="session")
def trained(cohort: Path, slide_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train the tiny model once and predict one slide with it."""
    folder = tmp_path_factory.mktemp("trained")
    job = TrainJob(cohort=cohort, run_dir=folder / "run", preset="cpu-small", overrides=TINY)
    predict = PredictJob(model=folder / "run", slides=(slide_path,), out=folder / "results")
    ends = [run_job(spec, lambda event: None) for spec in (job, predict)]
    for end in ends:
        assert isinstance(end, Result), end
    return Trained(folder / "run", ends[1].paths[slide_path.stem])


@pytest.fixture(scope="session")
def searchable(trained: Trained, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder of its own with the index of the cohort in it, made once."""
    run = tmp_path_factory.mktemp("searchable") / "run"
    shutil.copytree(trained.run_dir, run)
    end = run_job(IndexJob(model=run, cohort=cohort, out=run / "index"), lambda event: None)
    assert isinstance(end, Result), end
    return run


@pytest.fixture
def tile_result() -> Callable[..., SlideResult]:
    """Return a function that makes a result of 12 tiles on a 4x4 grid of 256 px, without a model.

    Its evidence is -6 to 5 thousandths, its codewords 0, 1, 2, 0, 1, 2, ...
    """

    def make(path: Path | str = "/nowhere/a.tif", **changes: Any) -> SlideResult:
        n = 12
        result = SlideResult(
            slide_id=Path(path).stem,
            slide_path=str(path),
            slide_shape=(1024, 1024),
            mpp=0.5,
            mpp_source="TIFF resolution",
            tile_size_px=256,
            grid_shape=(4, 4),
            rowcol=np.argwhere(np.arange(16).reshape(4, 4) < n),
            codeword=np.arange(n) % 3,
            attention=np.arange(1, n + 1, dtype=np.float32) / (n * (n + 1) / 2),
            residual_norm=np.linspace(0.5, 1.5, n, dtype=np.float32),
            n_codewords=3,
            codeword_attention=np.full(3, 1 / 3, np.float32),
            slide_vector=np.zeros(2, np.float32),
            predictions=(TaskPrediction("cancer", ("normal", "cancer"), (0.2, 0.8), "cancer"),),
            evidence=((np.arange(n) - 6) / 1000).astype(np.float32)[:, None],
            evidence_of=(("cancer", "cancer"),),
        )
        return replace(result, **changes)

    return make


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    """Return a viewer that lets plugins touch its public names only, as napari does."""
    return make_napari_viewer_proxy()


@pytest.fixture
def dock(viewer: Any) -> Iterator[DreSlclDock]:
    """Return the dock inside the viewer's window; closed down at the end."""
    opened = DreSlclDock(viewer)
    viewer.window.add_dock_widget(opened, name="DRE-SLCL")
    yield opened
    opened.close_down()


@pytest.fixture
def session(viewer: Any) -> Iterator[Session]:
    """Return what the panels of a window share, without a dock around it."""
    opened = Session(viewer)
    yield opened
    opened.close()
