"""What a prediction rests on, what-ifs and phrases: through the jobs that the window sends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_dre_slcl.jobs.messages import (
    AskJob,
    Event,
    Failed,
    Job,
    Log,
    PredictJob,
    Result,
    TrainJob,
    WhatIfJob,
)
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.results import SlideResult, load_report_space, load_result, save_result


def _run(job: Job, events: list[Event] | None = None) -> Result:
    end = run_job(job, (events if events is not None else []).append)
    assert isinstance(end, Result), end
    return end


def _failure(job: Job) -> str:
    end = run_job(job, lambda event: None)
    assert isinstance(end, Failed), end
    return end.message


@pytest.fixture(scope="module")
def result_file(
    model_dir: Path, colour_cohort: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the result of one slide of the cohort."""
    slide = colour_cohort.parent / "s02.tif"
    out = tmp_path_factory.mktemp("results")
    return _run(PredictJob(model=model_dir, slides=(slide,), out=out)).paths["s02"]


@pytest.fixture(scope="module")
def result(result_file: Path) -> SlideResult:
    """Return what is in it."""
    return load_result(result_file)


def test_a_prediction_says_what_it_rests_on(
    result: SlideResult, result_file: Path, model_dir: Path
) -> None:
    n_tiles = len(result.rowcol)
    assert result.evidence_of == (("subtype", "B"), ("TP53", "1"))
    assert result.evidence is not None
    assert result.evidence.shape == (n_tiles, 2)
    np.testing.assert_allclose(result.evidence.sum(axis=0), 0, atol=1e-5)
    assert result.provenance["model"] == str(model_dir / "model")
    assert result.codeword_names == ("Codeword 1", "Codeword 2", "Codeword 3")
    space = load_report_space(result_file)
    assert space is not None
    assert result.report_vector is not None
    assert space.shape == (n_tiles, len(result.report_vector))
    np.testing.assert_allclose(np.linalg.norm(space.astype(float), axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(result.report_vector), 1, atol=1e-5)


def test_intervals_hold_the_prediction_and_are_the_same_each_time(
    result: SlideResult, model_dir: Path, colour_cohort: Path, tmp_path: Path
) -> None:
    slide = colour_cohort.parent / "s02.tif"
    again = _run(PredictJob(model=model_dir, slides=(slide,), out=tmp_path)).paths["s02"]

    for one, other in zip(result.predictions, load_result(again).predictions, strict=True):
        assert one == other
        assert one.stability is not None
        assert 0 <= one.stability <= 1
        for low, value, high in zip(one.low, one.probabilities, one.high, strict=True):
            assert low - 0.02 <= value <= high + 0.02
            assert low < high


def test_leaving_nothing_out_gives_the_prediction_itself(
    result: SlideResult, result_file: Path, model_dir: Path
) -> None:
    found = _run(WhatIfJob(model=model_dir, result=result_file)).metrics

    for prediction in result.predictions:
        for name in prediction.classes:
            expected = pytest.approx(prediction.probability(name), abs=1e-5)
            assert found[f"{prediction.task}/{name}"] == expected


def test_leaving_tiles_out_is_predicting_the_others_alone(
    result: SlideResult, model_dir: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(model_dir)
    net: Any = bundle.net
    number = torch.arange(6) % 3  # two tiles near each of the three codewords
    noise = 0.01 * torch.randn(6, net.encoder.dim, generator=torch.Generator().manual_seed(0))
    features = torch.nn.functional.normalize(net.codewords[number] + noise, dim=1)
    path = save_result(replace(result, features=features.numpy()), tmp_path / "a.dreslcl.npz")
    np.save(tmp_path / "tiles.npy", np.array([0]))
    job = WhatIfJob(
        model=model_dir,
        result=path,
        without_codewords=(1,),
        without_tiles=tmp_path / "tiles.npy",
    )

    found = _run(job).metrics

    expected = net.describe(features[[2, 3, 5]]).probabilities[0]
    assert found["subtype/B"] == pytest.approx(float(expected[1]), abs=1e-5)
    whole = net.describe(features).probabilities[0]
    assert found["subtype/B"] != pytest.approx(float(whole[1]), abs=1e-6)


def test_a_method_that_looks_at_bags_of_tiles_says_of_all_tiles_what_it_predicted(
    train_job: Callable[..., TrainJob], tmp_path: Path
) -> None:
    few = {"giga_ssl.bags": 2, "giga_ssl.tiles_per_view": 2, "training.epochs": 1}
    job = train_job("run", method="giga-ssl", **few)
    _run(job)
    slide = job.cohort.parent / "s02.tif"
    path = _run(PredictJob(model=job.run_dir, slides=(slide,), out=tmp_path)).paths["s02"]
    stored = load_result(path)
    assert len(stored.rowcol) > 4  # that the bags hold

    found = _run(WhatIfJob(model=job.run_dir, result=path)).metrics

    expected = stored.predictions[0].probability("B")
    assert found["subtype/B"] == pytest.approx(expected, abs=1e-6)


def test_a_result_that_has_changed_is_read_again(
    result: SlideResult, result_file: Path, model_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.dreslcl.npz"
    shutil.copy(result_file, path)
    job = WhatIfJob(model=model_dir, result=path)
    before = _run(job).metrics
    assert result.features is not None
    fewer = {name: getattr(result, name)[:5] for name in ("rowcol", "codeword", "attention")}
    fewer |= {"residual_norm": result.residual_norm[:5], "features": result.features[:5]}
    save_result(replace(result, **fewer, evidence=None, evidence_of=(), report_space=None), path)

    assert _run(job).metrics != before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"without_codewords": (0, 1, 2)}, "nothing is left of the slide"),
        ({"without_codewords": (7,)}, "There is no codeword number 8: this model has 3"),
        ({"without_tiles": "missing.npy"}, "cannot be read"),
        ({"without_tiles": "float.npy"}, "no list of tile numbers"),
        ({"without_tiles": "far.npy"}, "tiles that the result does not have"),
        ({"result": "missing.dreslcl.npz"}, "cannot be read"),
        ({"result": "other.dreslcl.npz"}, "made by another model"),
        ({"result": "lean.dreslcl.npz"}, "no tile features"),
        ({"model": "nowhere"}, "no model folder"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    change: dict[str, object],
    sentence: str,
    result: SlideResult,
    result_file: Path,
    model_dir: Path,
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "float.npy", np.ones(2))
    np.save(tmp_path / "far.npy", np.array([10_000]))
    other = replace(result, provenance={"model_sha256": "0" * 64})
    save_result(other, tmp_path / "other.dreslcl.npz")
    save_result(replace(result, features=None), tmp_path / "lean.dreslcl.npz")
    given = {
        name: tmp_path / value if isinstance(value, str) else value
        for name, value in change.items()
    }

    message = _failure(
        WhatIfJob.model_validate({"model": model_dir, "result": result_file} | given)
    )

    assert sentence in message


def test_a_phrase_lies_where_a_report_of_these_words_lies(model_dir: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    job = AskJob(
        model=model_dir,
        phrases=("beside VESSELS", "among lymphocytes", "vessels xylophone"),
        out=tmp_path / "phrases.npy",
    )

    vectors = np.load(_run(job, events).paths["vectors"], allow_pickle=False)

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > 0.9 > vectors[0] @ vectors[1]
    told = [event.message for event in events if isinstance(event, Log)]
    assert told == ["Not in the training reports, or in hardly any, so left aside: 'xylophone'."]


def test_a_model_folder_has_no_words_of_one_or_two_patients(model_dir: Path) -> None:
    words = (model_dir / "model" / "text" / "words.json").read_text(encoding="utf-8")
    terms = json.loads(words)["terms"]
    assert "among lymphocytes" in terms
    assert not any(digit in term for term in terms for digit in "0123456789")  # of one slide each
    card = (model_dir / "model" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "at least 3 patients" in card


def _without_text(model: Path) -> None:
    header = json.loads((model / "model.json").read_text(encoding="utf-8"))
    del header["text_sha256"]
    (model / "model.json").write_text(json.dumps(header), encoding="utf-8")


def _damaged(model: Path) -> None:
    (model / "text" / "words.json").write_text("{}", encoding="utf-8")


def _ready_made(model: Path) -> None:
    header = json.loads((model / "model.json").read_text(encoding="utf-8"))
    header["config"]["text"] |= {"encoder": "vectors", "vectors": "reports.npz"}
    (model / "model.json").write_text(json.dumps(header), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "phrase", "sentence"),
    [
        (lambda model: None, "xylophone zither", "do not use 'xylophone', 'zither'"),
        (lambda model: None, " ... ", "no word to look for"),
        (_without_text, "dark", "Train it again"),
        (_damaged, "dark", "damaged: its hash differs"),
        (_ready_made, "dark", "ready-made report vectors"),
    ],
)
def test_a_phrase_that_cannot_be_placed_says_why(
    spoil: Callable[[Path], None], phrase: str, sentence: str, model_dir: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(model_dir / "model", model)
    spoil(model)

    assert sentence in _failure(
        AskJob(model=model, phrases=(phrase,), out=tmp_path / "phrases.npy")
    )
    assert not (tmp_path / "phrases.npy").exists()


def test_a_model_without_reports_cannot_be_asked(
    train_job: Callable[..., TrainJob], tmp_path: Path
) -> None:
    job = train_job("run", method="mean-pool")
    _run(job)
    slide = job.cohort.parent / "s02.tif"
    path = _run(PredictJob(model=job.run_dir, slides=(slide,), out=tmp_path)).paths["s02"]

    assert "without reports" in _failure(
        AskJob(model=job.run_dir, phrases=("dark",), out=tmp_path / "a.npy")
    )
    assert load_report_space(path) is None
    found = _run(WhatIfJob(model=job.run_dir, result=path)).metrics
    expected = load_result(path).predictions[0].probability("B")
    assert found["subtype/B"] == pytest.approx(expected, abs=1e-6)
