"""Slides that are broken when a training on pixels begins: left out, listed, counted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.cohort.left_out import read_left_out
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.broken_slides import BrokenSlides
from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.embed_slides import EmbedRequest, embed_slides
from napari_dre_slcl.engine.evaluation import run_evaluation
from napari_dre_slcl.engine.evaluation_request import EvaluationRequest
from napari_dre_slcl.engine.prepare import PreparedCohort, prepare_cohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import CohortError, JobError, SlideError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Event,
    Log,
    Metric,
    Result,
    ResumeJob,
    TrainJob,
)

SPLITS = ("train",) * 8 + ("test",) * 4
SETTINGS = {
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 0,
    "training.epochs": 2,
    "training.lr_encoder": 1e-4,
    "training.lr_rest": 1e-4,
    "cohort.most_broken": 0.2,
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:600])


@pytest.fixture
def table(make_slide, tissue_image, tmp_path: Path) -> Path:
    """Return a table of twelve slides of four tiles; s3 is cut off, s9 shows glass alone."""
    lines = ["slide,patient_id,subtype,split,report"]
    for number, split in enumerate(SPLITS):
        is_dark = number // 2 % 2
        image = tissue_image(512, 512, (0, 0, 512, 512)) * [1, 0.6][is_dark] - number
        if number == 9:
            image = np.full((512, 512, 3), 243)
        make_slide(tmp_path / f"s{number}.tif", image=image.clip(0, 255).astype(np.uint8))
        words = f"{['pale', 'dark'][is_dark]} tumour {number}"
        lines.append(f"s{number}.tif,P{number},{'AB'[is_dark]},{split},{words}")
    cut(tmp_path / "s3.tif")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    return tmp_path / "cohort.csv"


def drawn(table: Path) -> Path:
    """Return the same table without its column of sides."""
    lines = [line.split(",") for line in table.read_text().splitlines()]
    path = table.with_name("drawn.csv")
    path.write_text("\n".join(",".join(line[:3] + line[4:]) for line in lines))
    return path


def prepared_of(
    table: Path, events: list[Event] | None = None, **changes: object
) -> PreparedCohort:
    config = with_overrides(load_preset("cpu-small"), SETTINGS | changes)
    told = [] if events is None else events
    return prepare_cohort(table, config, Reporter(told.append, lambda: False))


def logs(events: list[Event], level: str = "warning") -> list[str]:
    return [one.message for one in events if isinstance(one, Log) and one.level == level]


def test_a_training_goes_on_without_broken_slides_and_lists_them(
    table: Path, train_job: Callable[..., TrainJob]
) -> None:
    events: list[Event] = []
    job = train_job(cohort=table, **SETTINGS | {"training.epochs": 1})
    end = run_train(job, events.append, lambda: False)
    assert isinstance(end, Result)
    assert list(end.skipped) == ["s3", "s9"]
    assert read_left_out(job.run_dir) == end.skipped
    assert "'s9.tif' has no tissue tile" in end.skipped["s9"]
    told = logs(events)
    assert told[0].startswith("2 of 12 slides take no part (1 of training, 1 of test): ")
    assert told[1:] == [f"Left out {name}: {reason}" for name, reason in end.skipped.items()]
    figures = json.loads((job.run_dir / "metrics.json").read_text())
    counts = {name: figures[name] for name in figures if not name.startswith("test/auc")}
    assert counts == {"test/slides": 3, "train/left_out": 1, "val/left_out": 0, "test/left_out": 1}
    said = logs(events, "info")
    assert said[-1] == "2 slides took no part (1 of training, 1 of test): see left-out.csv."
    assert len(said) == len(set(said)), "what was told before the slides were opened stays told"
    assert sum("training slides have a report" in sentence for sentence in said) == 2


def test_a_slide_that_is_mended_changes_nobodys_side(table: Path, make_slide) -> None:
    path = drawn(table)
    table.with_name("s5.tif").unlink()
    first = prepared_of(path, **{"cohort.most_broken": 0.25})
    assert sorted(first.left_out) == ["s3", "s5", "s9"]
    assert "s5.tif' does not exist" in first.left_out["s5"].reason
    first.close()
    for number in (3, 5, 9):
        make_slide(table.with_name(f"s{number}.tif"))
    whole = prepared_of(path)
    whole.close()
    sides = dict(zip((row.slide_id for row in whole.cohort.rows), whole.split, strict=True))
    kept = dict(zip((row.slide_id for row in first.cohort.rows), first.split, strict=True))
    assert kept == {name: side for name, side in sides.items() if name in kept}
    assert {name: one.side for name, one in first.left_out.items()} == {
        name: sides[name] for name in first.left_out
    }


def test_more_than_may_be_left_out_are_refused_with_their_number(table: Path) -> None:
    said = r"At least 2 of the 12 slides .* 1 may be left out \(cohort\.most_broken=0\.1\).*s3\.tif"
    with pytest.raises(CohortError, match=said) as told:
        prepared_of(table, **{"cohort.most_broken": 0.1})
    assert "train --estimate --set cohort.most_broken=1" in str(told.value)
    with pytest.raises(CohortError, match=r"1 of the 12 slides .* none may be left out of so few"):
        prepared_of(table, **{"cohort.most_broken": 0.05})
    with pytest.raises(SlideError, match=r"^Slide 's3\.tif'"):
        prepared_of(table, **{"cohort.most_broken": 0})


def test_files_that_are_not_there_are_told_before_any_slide_is_opened(table: Path) -> None:
    for number in range(3):
        table.with_name(f"s{number}.tif").unlink()
    events: list[Event] = []
    with pytest.raises(CohortError, match=r"cannot be used: row 2: .*s0\.tif' does not exist"):
        prepared_of(table, events)
    assert events == []


def test_a_side_without_any_usable_slide_is_refused(table: Path) -> None:
    for number in (8, 10, 11):
        cut(table.with_name(f"s{number}.tif"))
    events: list[Event] = []
    with pytest.raises(CohortError, match=r"None of the 4 test slides .* can be used"):
        prepared_of(table, events, **{"cohort.most_broken": 0.5})
    assert sum(text.startswith("Left out ") for text in logs(events)) == 5


def test_a_run_goes_on_with_the_slides_that_it_began_with(
    table: Path, train_job: Callable[..., TrainJob], make_slide
) -> None:
    job = train_job(cohort=table, **SETTINGS)
    events: list[Event] = []
    stop = lambda: any(isinstance(event, Metric) for event in events)  # noqa: E731
    assert isinstance(run_train(job, events.append, stop), Cancelled)
    again = ResumeJob(run_dir=job.run_dir)
    before = (job.run_dir / "left-out.csv").read_bytes()
    make_slide(table.with_name("s3.tif"))
    slide = table.with_name("s1.tif")
    whole = slide.read_bytes()
    cut(slide)
    with pytest.raises(JobError, match=r"cannot go on\. .*s1\.tif.* bring them back"):
        run_resume(again, lambda event: None, lambda: False)
    slide.write_bytes(whole)
    seen: list[Event] = []
    end = run_resume(again, seen.append, lambda: False)
    assert isinstance(end, Result)
    assert list(end.skipped) == ["s3", "s9"]
    assert sum("even where they have been mended" in sentence for sentence in logs(seen)) == 1
    assert (job.run_dir / "left-out.csv").read_bytes() == before
    fitted = json.loads((job.run_dir / "fitted.json").read_text())["model"]
    assert fitted == [f"s{number}" for number in range(8) if number != 3]


@pytest.mark.skipif(
    sys.platform not in ("linux", "darwin") or processors() < 2, reason="needs two processors"
)
def test_two_processes_leave_out_what_one_of_them_finds(
    table: Path, train_job: Callable[..., TrainJob]
) -> None:
    events: list[Event] = []
    settings = SETTINGS | {"training.epochs": 1, "training.devices": 2}
    job = train_job(cohort=table, **settings)
    end = run_train(job, events.append, lambda: False)
    assert isinstance(end, Result)
    assert list(end.skipped) == list(read_left_out(job.run_dir)) == ["s3", "s9"]
    assert sum(text.startswith("Left out ") for text in logs(events)) == 2
    assert json.loads((job.run_dir / "metrics.json").read_text())["test/slides"] == 3


class Second(World):
    """Process 2 of 2; what the first has found is given."""

    def __init__(self, first: dict[int, str]) -> None:
        super().__init__(1, 2)
        self._first = first

    def exchange(self, message: object) -> list:
        return json.loads(json.dumps([self._first, message]))


def test_what_any_process_finds_is_left_out_in_all(table: Path) -> None:
    broken = BrokenSlides(read_cohort(table), 0.2)
    broken.add(9, SlideError("Own nine."))
    broken.agree(Second({3: "Theirs."}))
    assert broken.by_name() == {"s3": "Theirs.", "s9": "Own nine."}
    with pytest.raises(CohortError, match="At least 3 of the 12 slides"):
        broken.agree(Second({1: "Another."}))


def test_an_evaluation_leaves_out_broken_slides_and_keeps_to_that(
    table: Path, tmp_path: Path, make_slide
) -> None:
    overrides = {
        "encoder.name": "test_vit",
        "encoder.input_px": 32,
        "training.device": "cpu",
        "cohort.most_broken": 0.2,
        "probe.c_values": "0.1",
    }
    request = EvaluationRequest(
        cohort=table,
        out=tmp_path / "out",
        method="mean-pool",
        tasks=("subtype",),
        n_folds=2,
        validation=0,
        preset="cpu-small",
        overrides=overrides,
    )
    reporter = Reporter(lambda event: None, lambda: False)
    done = run_evaluation(request, reporter).metrics
    assert list(done["left_out"]) == list(read_left_out(request.out)) == ["s3", "s9"]
    assert done["cohort"]["slides"] == 10
    lacking = [cell["left_out"] for cell in done["cells"]]
    assert sum(one["test"] for one in lacking) == 2
    assert sum(cell["slides"]["test"] for cell in done["cells"]) == 10
    assert "Slides left out" in (request.out / "evaluation.html").read_text()
    make_slide(table.with_name("s3.tif"))
    assert run_evaluation(request, reporter).metrics == done


def test_slide_vectors_are_made_of_the_slides_that_can_be_used(
    table: Path, model_dir: Path, tmp_path: Path
) -> None:
    table.with_name("s0.tif").unlink()
    events: list[Event] = []
    request = EmbedRequest(model_dir, table, tmp_path / "vectors.npz", device="cpu")
    made = embed_slides(request, Reporter(events.append, lambda: False))
    assert list(made.skipped) == ["s0", "s3", "s9"]
    assert made.shape[0] == 9
    assert np.load(made.path)["ids"].tolist() == [f"s{n}" for n in (1, 2, 4, 5, 6, 7, 8, 10, 11)]
    assert sum(text.endswith("It is left out.") for text in logs(events)) == 3
