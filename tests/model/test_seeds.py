"""Random choices depend on the seed and the place in the run alone."""

import pytest
import torch

from napari_dre_slcl.model.seeds import seed_everything, seeded


def _draw(*place: int | str) -> list[float]:
    return torch.rand(4, generator=seeded(*place)).tolist()


def test_the_same_place_draws_the_same_whatever_was_drawn_before() -> None:
    first = _draw(3, "fresh", 2, 7)
    _draw(3, "fresh", 2, 8)
    torch.rand(5)
    assert _draw(3, "fresh", 2, 7) == first


@pytest.mark.parametrize(
    "other", [(4, "fresh", 2, 7), (3, "bank", 2, 7), (3, "fresh", 27), (3, "fresh", "2", 7)]
)
def test_another_seed_choice_or_place_draws_something_else(other: tuple[int | str, ...]) -> None:
    assert _draw(*other) != _draw(3, "fresh", 2, 7)


def test_dropout_repeats_after_seeding_at_the_same_step() -> None:
    draws = []
    for _ in range(2):
        seed_everything(0, "dropout", 5)
        draws.append(torch.nn.functional.dropout(torch.ones(64)).tolist())
    assert draws[0] == draws[1]
