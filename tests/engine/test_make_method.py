"""What the method is told of the training slides."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.make_method import make_method
from napari_dre_slcl.engine.prepare import prepare_cohort
from napari_dre_slcl.engine.reporter import Reporter

REPORTS = ("Tumour, dense  here", "tumour dense here", "pale gland", "large cells", "", "")


def test_slides_whose_reports_say_the_same_are_no_negatives(tmp_path: Path) -> None:
    """Two texts that differ in blanks, case or points become one vector; no text is no vector."""
    lines = ["slide_id,patient_id,split,report"]
    for number, report in enumerate(REPORTS):
        with h5py.File(tmp_path / f"s{number}.h5", "w") as file:
            file["features"] = np.random.default_rng(number).normal(size=(5, 4))
        lines.append(f's{number},P{number},train,"{report}"')
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    overrides = {
        "features.folder": tmp_path,
        "codebook.codewords": 2,
        "residual.heads": 2,
        "training.device": "cpu",
    }
    config = with_overrides(load_preset("default"), overrides)
    prepared = prepare_cohort(table, config, Reporter(lambda event: None, lambda: False))
    is_same = make_method(config, prepared).truth.is_same.among(torch.arange(len(REPORTS)))
    expected = torch.eye(len(REPORTS), dtype=torch.bool)
    expected[0, 1] = expected[1, 0] = True
    assert torch.equal(is_same, expected)


def test_the_wide_layer_is_scaled_by_slides_that_can_be_read(tmp_path: Path) -> None:
    lines = ["slide_id,patient_id,split,report"]
    for number in range(3):
        features = np.random.default_rng(number).normal(size=(5, 4))
        features[0, 0] = np.nan if number == 1 else 0
        with h5py.File(tmp_path / f"s{number}.h5", "w") as file:
            file["features"] = features
        lines.append(f"s{number},P{number},train,{REPORTS[number + 1]}")
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    overrides = {
        "features.folder": tmp_path,
        "features.adapter": "wide",
        "codebook.codewords": 2,
        "training.device": "cpu",
        "residual.heads": 2,
    }
    config = with_overrides(load_preset("default"), overrides)
    prepared = prepare_cohort(table, config, Reporter(lambda event: None, lambda: False))
    encoder = make_method(config, prepared).net.encoder
    assert bool(torch.isfinite(encoder.feature_mean).all())
    assert float(encoder.feature_mean.abs().sum()) > 0
