"""Who does which piece of work, and how answers travel."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_dre_slcl.engine.share_out import deal, gather_answers, pack, unpack
from napari_dre_slcl.engine.world import World


class Three(World):
    """Process 2 of 3; the others have answers of their own, which pass as JSON does."""

    def __init__(self, others: dict[int, dict[int, str]]) -> None:
        super().__init__(1, 3)
        self._others = {rank: list(answers.items()) for rank, answers in others.items()}
        self.rounds = 0

    def exchange(self, message: object) -> list:
        if isinstance(message, int):
            return [len(self._others[0]), message, len(self._others[2])]
        start, self.rounds = self.rounds * 256, self.rounds + 1
        told = [self._others[0], message, self._others[2]]
        parts = [part if rank == 1 else part[start : start + 256] for rank, part in enumerate(told)]
        return json.loads(json.dumps(parts))


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_all_is_dealt_once_and_evenly(size: int) -> None:
    weights = np.random.default_rng(0).lognormal(5, 1, 50).round().tolist()
    shares = deal(weights, size)
    assert sorted(number for share in shares for number in share) == list(range(50))
    sums = [sum(weights[number] for number in share) for share in shares]
    assert max(sums) - min(sums) <= max(weights)


def test_pieces_that_are_done_at_once_weigh_alike() -> None:
    assert deal([1, 9, 5, 4, 8, 2], 2) == [[1, 3, 5], [4, 2, 0]]


def test_a_process_alone_keeps_the_order_and_others_may_have_nothing() -> None:
    assert deal([1, 3, 2], 1) == [[0, 1, 2]]
    assert deal([7], 3) == [[0], [], []]
    assert deal([], 2) == [[], []]


def test_answers_of_all_come_in_order_however_many_each_has() -> None:
    everyone = {0: {n: f"a{n}" for n in range(600, 0, -2)}, 2: {}}
    world = Three(everyone)
    found = gather_answers(world, {3: "b3", 1: "b1"})
    assert found == dict(sorted((everyone[0] | {3: "b3", 1: "b1"}).items()))
    assert list(found) == sorted(found)
    assert world.rounds == 2


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_travel_to_the_last_bit(kind: type) -> None:
    array = (np.random.default_rng(1).normal(size=(7, 5)) * 100).astype(kind)
    again = unpack(json.loads(json.dumps(pack(array))), kind, (7, 5))
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable
