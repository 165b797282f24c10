"""Gated attention MIL: its formula, what it finds, and when it stops."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.attention_mil import AttentionMil
from napari_dre_slcl.methods.bag_method import Bags, BagTruth
from napari_dre_slcl.methods.registry import make_bag_method
from napari_dre_slcl.model.encoders import build_encoder

DIM = 8


def _method(n_tasks: int = 1, **changes: object) -> AttentionMil:
    settings = {
        "method": "attention-mil",
        "mil.epochs": 12,
        "mil.lr": 3e-3,
        "mil.slides_per_batch": 16,
        "mil.least_steps": 0,
    } | changes
    config = with_overrides(load_preset("default"), settings)
    torch.manual_seed(config.training.seed)
    method = make_bag_method(config, build_encoder(config, DIM), [2] * n_tasks, DIM)
    assert isinstance(method, AttentionMil)
    return method


def _cohort(n: int, seed: int) -> tuple[Bags, Tensor]:
    """Slides of 6 to 13 tiles; the first tile alone tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    features = []
    for slide in range(n):
        tiles = torch.randn(6 + slide % 8, DIM, generator=generator)
        tiles[:, 0] = 0
        tiles[0, 0], tiles[0, 1] = 6, 6 * (2 * int(labels[slide]) - 1)
        features.append(nn.functional.normalize(tiles, dim=1))
    return Bags(tuple(features), (None,) * n), labels


def _truth(labels: Tensor) -> BagTruth:
    labels = labels if labels.dim() == 2 else labels[:, None]
    names = tuple("abc"[: labels.shape[1]])
    return BagTruth(labels, names, tuple(map(str, range(len(labels)))))


def _fit(method: AttentionMil, bags: Bags, labels: Tensor, validate=None) -> list:
    told: list = []
    method.fit(bags, _truth(labels), lambda *what: told.append(what), validate)
    return told


def test_pooling_is_the_published_formula_bag_by_bag() -> None:
    net = _method().net.eval()
    bags, _ = _cohort(4, seed=0)
    net.standardise_by(torch.cat(bags.features))
    owner = torch.cat([torch.full((len(x),), i) for i, x in enumerate(bags.features)])
    shuffled = torch.randperm(len(owner))
    vectors, attention = net.pool(torch.cat(bags.features)[shuffled], owner[shuffled], 4)
    for slide, tiles in enumerate(bags.features):
        h = torch.relu(net.embed[0]((tiles - net.feature_mean) / net.feature_std))
        score = net.score(torch.tanh(net.value(h)) * torch.sigmoid(net.gate(h))).squeeze(1)
        weight = torch.softmax(score, 0)
        torch.testing.assert_close(vectors[slide], weight @ h, atol=1e-5, rtol=1e-5)
        told = net.describe(tiles)
        torch.testing.assert_close(told.vector, vectors[slide], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(told.attention, weight, atol=1e-6, rtol=1e-5)
    totals = torch.zeros(4).index_add(0, owner[shuffled], attention)
    torch.testing.assert_close(totals, torch.ones(4))


def test_scores_far_apart_give_no_nan() -> None:
    net = _method().net.eval()
    with torch.no_grad():
        net.score.weight.mul_(1e4)
    bags, _ = _cohort(2, seed=0)
    owner = torch.cat([torch.full((len(x),), i) for i, x in enumerate(bags.features)])
    assert torch.isfinite(net.pool(torch.cat(bags.features), owner, 2).vectors).all()


def test_the_tile_that_tells_the_class_is_found() -> None:
    method = _method(**{"mil.epochs": 20})
    told = _fit(method, *_cohort(200, seed=1))
    bags, labels = _cohort(24, seed=2)
    found = [method.net.describe(tiles) for tiles in bags.features]
    assert roc_auc_score(labels, [float(x.probabilities[0][1]) for x in found]) > 0.95
    most = [int(x.attention.argmax()) for x in found]
    assert most.count(0) >= 20
    losses = [figures["loss"] for _, _, figures in told]
    assert len(losses) == 20
    assert losses[-1] < 0.5 * losses[0]


def test_same_seed_same_bits_and_another_seed_another_network() -> None:
    bags, labels = _cohort(12, seed=0)
    nets = []
    for seed in (0, 0, 1):
        method = _method(**{"training.seed": seed, "mil.epochs": 2})
        _fit(method, bags, labels)
        nets.append(method.net.state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    assert not torch.equal(nets[0]["embed.0.weight"], nets[2]["embed.0.weight"])


def test_missing_labels_cost_nothing() -> None:
    bags, labels = _cohort(12, seed=0)
    second = torch.where(torch.arange(12) < 6, labels, -1)
    method = _method(2, **{"mil.epochs": 2})
    told = _fit(method, bags, torch.stack([labels, second], 1))
    assert set(told[0][2]) == {"loss", "loss/a", "loss/b"}
    method = _method(2, **{"mil.epochs": 2})
    nothing = _fit(method, bags, torch.stack([labels, torch.full((12,), -1)], 1))
    assert nothing[0][2]["loss/b"] == 0


def test_patience_ends_training_and_keeps_the_best_epoch() -> None:
    bags, labels = _cohort(12, seed=0)
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    seen: list[Tensor] = []

    def validate(net) -> dict[str, float]:
        seen.append(net.embed[0].weight.detach().clone())
        return {"val/auc/a": next(scores)}

    method = _method(**{"training.patience": 2})
    told = _fit(method, bags, labels, validate)
    assert [figures["val/auc/a"] for _, _, figures in told] == [0.5, 0.9, 0.8, 0.7]
    assert torch.equal(method.net.embed[0].weight, seen[1])


def test_few_slides_take_more_passes() -> None:
    bags, labels = _cohort(8, seed=0)
    steps = {"mil.slides_per_batch": 4, "mil.epochs": 2}
    assert len(_fit(_method(**steps, **{"mil.least_steps": 9}), bags, labels)) == 5
    assert len(_fit(_method(**steps, **{"mil.least_steps": 3}), bags, labels)) == 2


def test_loss_that_is_no_number_is_told() -> None:
    bags, labels = _cohort(6, seed=0)
    method = _method()
    with torch.no_grad():
        method.net.heads[0].bias.fill_(torch.nan)
    with pytest.raises(ModelError, match=r"step 1 because the loss .* Lower mil\.lr"):
        _fit(method, bags, labels)
