"""Parts of the bank, views, and what the method tells the loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.slide_batch import SlideBatch, class_weights
from napari_dre_slcl.model.seeds import seeded

# -- parts of the bank -------------------------------------------------------------------------


def _part(lab, **changes: object) -> tuple[DreSlcl, SlideBatch, torch.Tensor]:
    method = lab.double(lab.config(**changes), (30, 12, 4))
    batch = lab.batch(method, (0, 1, 2))
    return method, batch, torch.cat([method.bank.features(i, batch.fresh[i]) for i in range(3)])


def _n_bank_tiles(lab, step: int, **changes: object) -> list[int]:
    """How many bank tiles of each slide took part, read off the gradient's scale N/s."""
    norms = []
    for is_rescaled in (True, False):
        method, batch, fresh = _part(lab, **changes | {"training.rescale_gradient": is_rescaled})
        fresh.requires_grad_()
        method.loss(batch, fresh, step)["loss"].backward()
        norms.append(fresh.grad.norm(dim=1)[::3])
    return (norms[0] / norms[1] * 3 - 3).round().long().tolist()


def _loss(lab, step: int, **changes: object) -> float:
    method, batch, fresh = _part(lab, **changes)
    return float(method.loss(batch, fresh, step)["loss"].detach())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [27, 9, 1]),
        ({"training.bank_tiles": 5}, [5, 5, 1]),
        ({"training.bank_tiles": 0}, [0, 0, 0]),
        ({"training.tile_dropout": 1 / 3}, [18, 6, 1]),
        ({"training.tile_dropout": 1 / 3, "training.bank_tiles": 7}, [7, 6, 1]),
    ],
)
def test_so_many_bank_tiles_take_part(lab, changes: dict[str, object], expected: list[int]) -> None:
    assert _n_bank_tiles(lab, 0, **changes) == expected


@pytest.mark.parametrize("changes", [{"training.bank_tiles": 5}, {"training.tile_dropout": 0.5}])
def test_the_part_of_the_bank_is_drawn_anew_each_step(lab, changes: dict[str, object]) -> None:
    assert _loss(lab, 1, **changes) == _loss(lab, 1, **changes)
    assert _loss(lab, 1, **changes) != _loss(lab, 2, **changes)
    assert _loss(lab, 1) == _loss(lab, 2)


def test_without_a_bank_the_fresh_tiles_stand_alone(lab) -> None:
    method, batch, fresh = _part(lab, **{"training.bank_tiles": 0})
    with torch.no_grad():
        losses = method.loss(batch, fresh, 0)
        alone = method.net.encode_slides(method.net.sums(fresh, batch.owner(), 3)).vector
        logits = method.net.heads[0](alone)
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(losses["loss/subtype"], expected)


def test_weights_of_bank_tiles_go_stale_where_all_take_part_and_not_in_a_part(lab) -> None:
    attention = {"residual.weighting": "attention"}
    for changes, is_stale in (({}, True), ({"training.bank_tiles": 100}, False)):
        method, batch, fresh = _part(lab, **attention | changes)
        with torch.no_grad():
            for parameter in method.net.tile_attention.parameters():
                parameter += 0.5 * torch.randn(parameter.shape, generator=seeded(4)).double()
            stale = method.loss(batch, fresh, 0)["loss"]
            method.index_bank()
            renewed = method.loss(batch, fresh, 0)["loss"]
        assert (abs(float(stale - renewed)) > 1e-9) == is_stale


# -- losses and the rest -----------------------------------------------------------------------


def test_views_are_halves_of_the_fresh_tiles_drawn_anew_each_step(lab) -> None:
    views = {"loss.view_weight": 2.0}
    method, batch, fresh = _part(lab, **views)
    losses = method.loss(batch, fresh, 0)
    plain = _part(lab)[0].loss(batch, fresh, 0)
    torch.testing.assert_close(losses["loss"], plain["loss"] + 2 * losses["loss/view"])
    assert losses["loss/view"] != method.loss(batch, fresh, 1)["loss/view"]
    # Bank tiles have no part in them.
    bank_free = _part(lab, **views | {"training.bank_tiles": 0})[0].loss(batch, fresh, 0)
    torch.testing.assert_close(losses["loss/view"], bank_free["loss/view"])


def test_slides_with_one_fresh_tile_have_no_views(lab) -> None:
    method = lab.double(lab.config(**{"loss.view_weight": 1.0}), (1, 9, 8))
    one, two = lab.batch(method, (0, 1)), lab.batch(method, (0, 1, 2))
    assert "loss/view" not in method.loss(one, torch.randn(4, method.bank.dim).double(), 0)
    assert "loss/view" in method.loss(two, torch.randn(7, method.bank.dim).double(), 0)


def test_the_clock_is_told_each_phase(lab) -> None:
    phases: list[str] = []

    @contextmanager
    def clock(phase: str) -> Iterator[None]:
        phases.append(phase)
        yield

    method, batch, fresh = _part(lab)
    method.loss(batch, fresh, 0, clock)
    assert phases == ["bank", "residual", "loss"]


def test_encoder_and_rest_are_groups_of_their_own_rate(lab) -> None:
    changes = {"training.lr_encoder": 1e-3, "training.lr_rest": 1e-2, "training.weight_decay": 0.1}
    method = lab.method(lab.config(**changes), (5,))
    groups = method.parameter_groups()
    assert {(g["name"], g["lr"]) for g in groups} == {("encoder", 1e-3), ("rest", 1e-2)}
    assert all((g["weight_decay"] > 0) == (g["params"][0].ndim > 1) for g in groups)
    grouped = sum(len(g["params"]) for g in groups)
    assert grouped == sum(1 for _ in method.net.parameters())


def test_a_frozen_encoder_is_in_no_group(lab) -> None:
    method = lab.method(lab.config(**{"encoder.trainable_blocks": 0}), (5,))
    assert {group["name"] for group in method.parameter_groups()} == {"rest"}


def test_a_temperature_that_overshot_comes_back_to_where_it_has_a_gradient(lab) -> None:
    method = lab.method(lab.config(), (5,))
    with torch.no_grad():
        method.net.log_scale.fill_(9.0)
    batch = lab.batch(method, (0,))
    method.refresh(batch, method.bank.features(0, batch.fresh[0]), 0)
    method.net.scale.backward()
    assert method.net.scale.item() == pytest.approx(100, rel=1e-4)
    assert method.net.log_scale.grad.item() > 0


def test_codewords_can_be_fitted_on_some_slides_only(lab) -> None:
    method = lab.method(lab.config(), (9, 8, 7))
    fitted = method.net.codewords.clone()
    method.fit_codewords([0, 2])
    assert not torch.equal(method.net.codewords, fitted)
    assert method.bank.sums(1).count.sum() == 8


def test_class_weights_are_inverse_frequencies() -> None:
    assert class_weights([0, 0, 0, 1, -1], 2, True).tolist() == pytest.approx([4 / 6, 4 / 2])
    assert class_weights([0, 0, 0, 1], 2, False).tolist() == [1, 1]
