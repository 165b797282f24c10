"""Mean pooling, and its parity with the reference on real slides."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.methods.bag_method import Bags, BagTruth
from napari_dre_slcl.methods.registry import make_bag_method
from napari_dre_slcl.model.encoders import build_encoder


def _fitted(features, labels, patients, **changes):
    config = with_overrides(load_preset("default"), {"method": "mean-pool", **changes})
    dim = features[0].shape[1]
    method = make_bag_method(config, build_encoder(config, dim), [2], dim)
    bags = Bags(tuple(features), (None,) * len(features))
    truth = BagTruth(torch.tensor(labels)[:, None], ("subtype",), tuple(patients))
    method.fit(bags, truth, lambda epoch, epochs, losses: None)
    return method.net


def test_vector_is_the_mean_and_every_tile_counts_alike() -> None:
    torch.manual_seed(0)
    features = [nn.functional.normalize(torch.randn(n + 1, 4), dim=1) for n in range(8)]
    net = _fitted(features, [0, 1] * 4, "abcdefgh")
    for tiles in features:
        told = net.describe(tiles)
        torch.testing.assert_close(told.vector, tiles.mean(0))
        torch.testing.assert_close(told.attention, torch.full((len(tiles),), 1 / len(tiles)))
        assert told.codeword_attention.shape == (0,)
        assert float(told.probabilities[0].sum()) == pytest.approx(1)


@pytest.mark.real_data
def test_first_published_split_gives_the_reference_figure(real_data: Path) -> None:
    """0.9436 by a plain script: mean feature, standardise, logistic regression with C = 0.01."""
    folder = real_data / "tcga_lung"
    with (folder / "cohort.csv").open(encoding="utf-8") as stream:
        rows = {row["slide_id"]: row for row in csv.DictReader(stream)}
    with (folder / "splits/full/split_0.csv").open(encoding="utf-8") as stream:
        role = {row["slide_id"]: row["role"] for row in csv.DictReader(stream)}
    features, names = {}, [name for name in role if name in rows]
    for name in names:
        with h5py.File(folder / rows[name]["features"]) as file:
            features[name] = nn.functional.normalize(torch.from_numpy(file["features"][()]), dim=1)
    train, test = ([n for n in names if role[n] == side] for side in ("train", "test"))
    is_scc = {name: int(rows[name]["subtype"] == "LUSC") for name in names}
    net = _fitted(
        [features[name] for name in train],
        [is_scc[name] for name in train],
        [rows[name]["patient_id"] for name in train],
        **{"probe.c_values": (0.01,)},
    )
    scores = [float(net.describe(features[name]).probabilities[0][1]) for name in test]
    truth = np.array([is_scc[name] for name in test])
    assert roc_auc_score(truth, scores) == pytest.approx(0.9436, abs=0.001)
