"""The estimate of a training that nobody has started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_dre_slcl.engine.estimate_run import run_estimate
from napari_dre_slcl.engine.estimate_text import estimate_text
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Cancelled, EstimateJob, Log, Result


def estimate_of(job_in, folder: Path, **overrides: object) -> EstimateJob:
    job = job_in(folder, **overrides)
    return EstimateJob(
        cohort=job.cohort, run_dir=job.run_dir, preset=job.preset, overrides=job.overrides
    )


@pytest.mark.parametrize("method", ["dre-slcl", "mean-pool"])
def test_it_says_time_memory_and_disk_and_leaves_nothing(job_in, tmp_path: Path, method) -> None:
    events = []
    job = estimate_of(job_in, tmp_path, method=method)
    end = run_estimate(job, events.append, lambda: False)
    assert isinstance(end, Result)
    assert end.kind == "estimate"
    figures = end.metrics
    assert figures["seconds/total"] > 0
    assert 0 < figures["bytes/disk"] < figures["bytes/disk_free"]
    assert figures["bytes/memory"] > 0
    assert figures["tiles/train"] > figures["slides/train"] > 1
    assert not job.run_dir.exists()
    assert any("Time to go" in event.message for event in events if isinstance(event, Log))
    lines = estimate_text(figures).splitlines()
    assert re.match("Time: (about|under) ", lines[1])
    if method == "dre-slcl":
        assert figures["epochs"] == 6
        assert 6 * figures["seconds/epoch"] < figures["seconds/total"]
        assert re.search("6 epochs of (about|under) ", lines[1])


def test_it_says_that_one_process_of_several_was_tried(job_in, tmp_path: Path) -> None:
    events = []
    job = estimate_of(job_in, tmp_path, **{"training.devices": 2})
    assert isinstance(run_estimate(job, events.append, lambda: False), Result)
    said = [event.message for event in events if isinstance(event, Log)]
    assert any("One process was tried; 2 share the slides" in line for line in said)


def test_a_folder_in_use_is_refused_and_a_wish_to_stop_is_heard(job_in, tmp_path: Path) -> None:
    job = estimate_of(job_in, tmp_path)
    assert isinstance(run_estimate(job, lambda event: None, lambda: True), Cancelled)
    job.run_dir.mkdir()
    (job.run_dir / "metrics.json").touch()
    with pytest.raises(JobError, match="in use already"):
        run_estimate(job, lambda event: None, lambda: False)


def test_words_for_a_gpu() -> None:
    text = estimate_text(
        {
            "slides/train": 1000,
            "tiles/train": 2e6,
            "seconds/total": 7200,
            "seconds/epoch": 600,
            "epochs": 12,
            "bytes/memory": 2**31,
            "bytes/disk": 2**30,
            "bytes/gpu": 2**33,
            "bytes/gpu_total": 2**36,
        }
    )
    assert text.splitlines() == [
        "1,000 training slides with 2,000,000 tiles",
        "Time: about 2 h in all; 12 epochs of about 10 min",
        "Memory: about 2.0 GiB",
        "GPU memory: about 8.0 GiB; 64 GiB in all",
        "Disk: about 1.0 GiB",
    ]
