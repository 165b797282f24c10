"""The text encoder in a model folder: the same vectors after a round trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort.report_model import (
    ReportModel,
    load_report_model,
    phrase_text,
    save_report_model,
)
from napari_dre_slcl.cohort.reports import fit_report_encoder
from napari_dre_slcl.errors import JobError, ModelError

REPORTS = (
    "Keratin pearls and intercellular bridges in solid nests.",
    "Glands with mucin; lepidic growth along alveolar walls.",
    "Dense lymphocytes around the nests, necrosis in places.",
    "Alveolar walls are thin. No tumour.",
)


@pytest.fixture
def model() -> ReportModel:
    """Return a fitted model that leaves out what names 'LUSC'."""
    return ReportModel(fit_report_encoder(REPORTS, 3, 0), ("lusc",))


def test_it_gives_the_same_vectors_after_a_round_trip(model: ReportModel, tmp_path: Path) -> None:
    hashes = save_report_model(model, tmp_path)

    loaded = load_report_model(tmp_path, {"text_sha256": hashes})

    texts = [*REPORTS, "keratin in glands"]
    np.testing.assert_allclose(loaded.encoder.encode(texts), model.encoder.encode(texts), atol=1e-6)
    assert loaded.removed == ("lusc",)
    assert sorted(path.suffix for path in (tmp_path / "text").iterdir()) == [".json", ".npy"]


def test_a_phrase_is_a_unit_vector_near_the_report_that_uses_it(model: ReportModel) -> None:
    vector, unknown = model.place("Keratin PEARLS, aubergine")

    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert int((model.encoder.encode(REPORTS) @ vector).argmax()) == 0
    assert unknown == ("aubergine",)


def test_unknown_words_are_named(model: ReportModel) -> None:
    with pytest.raises(JobError, match="do not use 'aubergine', 'zither'"):
        model.place("aubergine zither")


@pytest.mark.parametrize("phrase", ["LUSC", "squamous cell carcinoma"])
def test_a_diagnosis_that_was_left_out_cannot_be_asked(phrase: str) -> None:
    with pytest.raises(JobError, match="names a diagnosis"):
        phrase_text(phrase, ("lusc",))
    assert phrase_text(phrase, None) == phrase


def test_a_file_of_another_model_is_refused(model: ReportModel, tmp_path: Path) -> None:
    hashes = save_report_model(model, tmp_path)
    words = tmp_path / "text" / "words.json"
    words.write_text(words.read_text(encoding="utf-8").replace("keratin", "keratim"), "utf-8")

    with pytest.raises(ModelError, match=r"words\.json' is damaged"):
        load_report_model(tmp_path, {"text_sha256": hashes})


def test_a_model_of_before_asks_to_be_trained_again(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Train it again"):
        load_report_model(tmp_path, {})
