"""Predictions of a whole cohort: one result per slide, kept where it is there already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import PredictJob, Result
from napari_dre_slcl.results import load_result


def predict(job: PredictJob) -> Result:
    end = run_predict(job, lambda event: None, lambda: False)
    assert isinstance(end, Result)
    return end


def test_results_of_a_cohort_are_named_after_its_slides_and_kept(
    model_dir: Path, colour_cohort: Path, tmp_path: Path
) -> None:
    slides = colour_cohort.parent
    table = tmp_path / "cohort.csv"
    rows = [f"one,{slides / 's00.tif'},p", f"two,{slides / 's01.tif'},p", "none,none.tif,q"]
    table.write_text("\n".join(["slide_id,slide,patient_id", *rows]))
    job = PredictJob(model=model_dir, cohort=table, out=tmp_path / "out")
    first = predict(job)
    assert list(first.paths) == ["one", "two"]
    assert list(first.skipped) == ["none"]
    assert load_result(first.paths["one"]).slide_id == "one"
    facts = first.paths["one"].stat()
    second = predict(job)
    assert second.paths == first.paths
    assert first.paths["one"].stat() == facts
    alone = predict(PredictJob(model=model_dir, slides=(slides / "s00.tif",), out=tmp_path / "x"))
    (path,) = alone.paths.values()
    expected = load_result(path)
    found = load_result(first.paths["one"])
    assert np.array_equal(found.slide_vector, expected.slide_vector)
    assert found.provenance["tissue mask"] == "automatic"


def test_slides_and_a_table_exclude_each_other(
    model_dir: Path, colour_cohort: Path, tmp_path: Path
) -> None:
    job = PredictJob(model=model_dir, cohort=colour_cohort, slides=(Path("a.svs"),), out=tmp_path)
    with pytest.raises(JobError, match="not both"):
        predict(job)
