"""The probe before a run: what it says, what it refuses, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine import preflight as preflight_module
from napari_dre_slcl.engine.estimate import Workload, disk_needed, main_memory_needed
from napari_dre_slcl.engine.make_method import make_method
from napari_dre_slcl.engine.preflight import preflight
from napari_dre_slcl.engine.prepare import PreparedCohort, prepare_cohort
from napari_dre_slcl.engine.probe import Probe, measure
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.step import StepTaker
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.jobs.messages import Log, Progress, Result, TrainJob
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.slide_batch import SlideBatch

MIB = 2**20
SETTINGS = {
    "encoder.name": "test_vit",
    "encoder.input_px": 32,
    "codebook.codewords": 3,
    "training.epochs": 2,
    "training.fresh_tiles": 3,
    "training.slides_per_batch": 4,
    "training.device": "cpu",
}


@dataclass
class Ready:
    """A cohort and a method that were made for a run, and what was said."""

    config: DreSlclConfig
    prepared: PreparedCohort
    method: DreSlcl
    run_dir: Path
    said: list[Log] = field(default_factory=list)

    def preflight(self) -> DreSlclConfig:
        with self.prepared.loader(self.prepared.rows("train"), self.config) as loader:
            reporter = Reporter(self._hear, lambda: False)
            args = (self.method, loader, self.prepared, self.run_dir, reporter)
            return preflight(self.config, *args)[0]

    def probe(self) -> Probe:
        with self.prepared.loader(self.prepared.rows("train"), self.config) as loader:
            return measure(self.config, self.method, loader, Reporter(self._hear, lambda: False))

    def _hear(self, event: object) -> None:
        if isinstance(event, Log):
            self.said.append(event)
        else:
            assert isinstance(event, Progress)
            assert event.stage == "Pre-flight"

    def heard(self, beginning: str) -> str:
        (sentence,) = [log.message for log in self.said if log.message.startswith(beginning)]
        return sentence


def _prepare(cohort: Path) -> PreparedCohort:
    config = with_overrides(load_preset("cpu-small"), SETTINGS)
    return prepare_cohort(cohort, config, Reporter(lambda event: None, lambda: False))


@pytest.fixture(scope="module")
def prepared(colour_cohort: Path) -> Iterator[PreparedCohort]:
    """Return a cohort whose slides are open."""
    with closing(_prepare(colour_cohort)) as opened:
        yield opened


@pytest.fixture
def ready(prepared: PreparedCohort, tmp_path: Path) -> Callable[..., Ready]:
    """Return a function that gets a run ready: ready(**{"training.workers": 1})."""

    def make(cohort: PreparedCohort = prepared, **changes: object) -> Ready:
        config = with_overrides(load_preset("cpu-small"), SETTINGS | changes)
        return Ready(config, cohort, make_method(config, cohort), tmp_path / "run")

    return make


def test_it_says_speed_time_memory_and_disk(ready: Callable[..., Ready]) -> None:
    run = ready()
    assert run.preflight() == run.config
    speed = run.heard("Pre-flight on ")
    assert all(words in speed for words in (" are read, ", " encoded and ", " trained on per"))
    assert "steps " in run.heard("Time to go: ")
    assert "a step " in run.heard("Memory: ")
    assert f"free at '{run.run_dir}'" in run.heard("Disk: ")
    assert not run.run_dir.exists()
    assert [log.level for log in run.said] == ["info"] * 4


def test_nothing_of_it_stays(ready: Callable[..., Ready]) -> None:
    run = ready(**{"training.augment": True, "residual.dropout": 0.2})
    run.method.net.train()
    weights = {name: value.clone() for name, value in run.method.net.state_dict().items()}
    random = torch.get_rng_state()
    run.preflight()
    assert torch.equal(torch.get_rng_state(), random)
    assert run.method.net.training
    for name, value in run.method.net.state_dict().items():
        assert torch.equal(value, weights[name])
    assert all(parameter.grad is None for parameter in run.method.net.parameters())
    assert not run.method.bank.is_full
    assert run.method.bank.generation == 0


def test_it_measures_what_a_tile_keeps_for_the_backward_pass(ready: Callable[..., Ready]) -> None:
    def kept(**changes: object) -> int:
        return ready(**changes).probe().kept_per_tile

    few, many = (kept(**{"training.fresh_tiles": n}) for n in (2, 4))
    assert many == pytest.approx(few, rel=0.2)  # the slide's part is shared by more tiles
    assert few > 32 * 32 * 3 * 4  # the least that a layer keeps: its input
    # A frozen encoder keeps nothing of pixels.
    assert kept(**{"encoder.trainable_blocks": 0}) < few / 4


@pytest.mark.parametrize("preset", ["view", "mean", "gradient in parts", "small codebook draw"])
def test_variants_can_be_probed(ready: Callable[..., Ready], preset: str) -> None:
    changes = {
        "view": {"loss.view_weight": 1.0},
        "mean": {"residual.tokens": "mean", "residual.pooling": "mass"},
        "gradient in parts": {"training.encode_chunk": 2},
        "small codebook draw": {"codebook.tiles_per_slide": 1, "training.slides_per_batch": 1},
    }[preset]
    run = ready(**changes)
    assert run.preflight() == run.config


def test_a_full_disk_is_refused_before_anything_is_tried(
    ready: Callable[..., Ready], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ready()
    monkeypatch.setattr(preflight_module, "free_on_disk", lambda folder: 2 * MIB)
    said = r"has 2\.0 MiB free, but training writes about .*checkpoints.*training\.preflight=false"
    with pytest.raises(JobError, match=said):
        run.preflight()
    assert run.said == []


def test_a_cache_that_memory_cannot_hold_is_refused(
    ready: Callable[..., Ready], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_module, "available_memory", lambda: MIB)
    with pytest.raises(JobError, match=r"but 1\.0 MiB can be had\. Lower training\.tile_cache_mib"):
        ready().preflight()


@pytest.mark.parametrize(
    ("encoder", "effect"),
    [("test_vit", "gives the same gradient"), ("test_resnet", "has batch normalisation")],
)
def test_a_step_that_memory_cannot_hold_goes_through_the_encoder_in_parts(
    ready: Callable[..., Ready], monkeypatch: pytest.MonkeyPatch, encoder: str, effect: str
) -> None:
    run = ready(**{"encoder.name": encoder, "encoder.input_px": 64})
    fixed = main_memory_needed(
        run.config, run.method, Workload.of(run.config, run.method, run.prepared), is_gpu=False
    )
    room = sum(fixed.values()) + int(5.5 * run.probe().kept_per_tile)
    monkeypatch.setattr(preflight_module, "available_memory", lambda: room)
    assert run.preflight() == with_overrides(run.config, {"training.encode_chunk": 4})
    said = run.heard("A step of 12 fresh tiles")
    assert said.endswith("(training.encode_chunk=4).")
    assert effect in said


def test_memory_that_runs_out_in_the_probe_ends_no_run(
    ready: Callable[..., Ready], monkeypatch: pytest.MonkeyPatch
) -> None:
    take, tried = StepTaker.take, []

    def take_or_run_out(self: StepTaker, batch: SlideBatch, step: int) -> dict[str, float]:
        tried.append(len(batch.tiles))
        if len(batch.tiles) > 4:
            torch.empty(2**60, dtype=torch.uint8)
        return take(self, batch, step)

    monkeypatch.setattr(StepTaker, "take", take_or_run_out)
    run = ready()
    assert run.preflight() == run.config
    assert tried[:2] == [12, 4]
    assert len(run.said) == 4


def test_systems_that_tell_no_memory_are_not_refused(
    ready: Callable[..., Ready], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_module, "available_memory", lambda: None)
    run = ready()
    assert run.preflight() == run.config
    assert "can be had" not in run.heard("Memory: ")


def test_slides_that_cannot_be_read_are_left_to_the_first_pass(
    ready: Callable[..., Ready], colour_cohort: Path
) -> None:
    with closing(_prepare(colour_cohort)) as opened:
        run = ready(opened)
        slides = [opened.sources[row].slide for row in opened.rows("train")]
        slides[0].close()
        run.preflight()
        for slide in slides[1:]:
            slide.close()
        with pytest.raises(SlideError, match="closed"):
            run.preflight()


def test_a_run_is_the_same_to_the_last_bit_with_it_and_without(
    train_job: Callable[..., TrainJob],
) -> None:
    def run(name: str, is_tried: bool) -> tuple[bytes, bytes]:
        changes = {"training.preflight": is_tried, "residual.dropout": 0.1}
        job = train_job(name, **changes | {"training.epochs": 2})
        end = run_train(job, lambda event: None, lambda: False)
        assert isinstance(end, Result)
        weights = job.run_dir / "model" / "model.safetensors"
        return weights.read_bytes(), (job.run_dir / "losses.csv").read_bytes()

    assert run("with", True) == run("without", False)


def test_a_run_takes_no_more_disk_than_was_said(
    ready: Callable[..., Ready], train_job: Callable[..., TrainJob]
) -> None:
    run = ready(**{"codebook.refit_after_epoch": 1})
    work = Workload.of(run.config, run.method, run.prepared)
    job = train_job(**SETTINGS | {"codebook.refit_after_epoch": 1})
    most = 0

    def weigh(event: object) -> None:
        nonlocal most
        files = [path for path in job.run_dir.rglob("*") if path.is_file()]
        most = max(most, sum(path.stat().st_size for path in files))

    run_train(job, weigh, lambda: False)
    said = sum(disk_needed(run.config, run.method, work).values())
    assert said / 4 < most < said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_that_the_gpu_cannot_hold_goes_through_the_encoder_in_parts(
    ready: Callable[..., Ready],
) -> None:
    # Large enough that what tiles keep outweighs what the libraries take for themselves.
    sizes = {"encoder.input_px": 512, "training.fresh_tiles": 6, "training.slides_per_batch": 8}
    run = ready(**{"training.device": "cuda"} | sizes)
    torch.cuda.empty_cache()
    assert run.preflight() == run.config
    assert "GPU memory: a step takes" in run.heard("GPU memory")
    peak = torch.cuda.max_memory_allocated()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(peak * 0.6 / whole)
    try:
        picked = run.preflight()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert picked.training.encode_chunk in (24, 12, 6, 3, 1)
