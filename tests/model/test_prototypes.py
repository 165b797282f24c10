"""Prototypes: k-means per slide against scikit-learn, matching against brute force."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from napari_dre_slcl.model.prototypes import best_matching, most_similar, slide_centres


def _seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def _by_brute_force(similarity: torch.Tensor) -> float:
    m = len(similarity)
    return max(
        sum(similarity[row, column].item() for row, column in enumerate(order))
        for order in permutations(range(m))
    )


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_matching_equals_brute_force(m: int) -> None:
    for number in range(20):
        similarity = torch.randn(m, m, generator=_seeded(number))
        assert best_matching(similarity) == pytest.approx(_by_brute_force(similarity), rel=1e-5)


def test_greedy_matching_would_be_wrong_here() -> None:
    # The largest value first gives 10 + 0, the best is 9 + 9.
    assert best_matching(torch.tensor([[10.0, 9.0], [9.0, 0.0]])) == 18.0


@pytest.mark.parametrize(("n_slides", "m"), [(2, 1), (9, 2), (70, 3), (30, 4)])
def test_the_most_similar_slide_equals_brute_force(n_slides: int, m: int) -> None:
    centres = torch.nn.functional.normalize(
        torch.randn(n_slides, m, 3, generator=_seeded(m)), dim=2
    )
    found = most_similar(centres)
    for slide in range(n_slides):
        scores = [
            -np.inf if other == slide else _by_brute_force(centres[slide] @ centres[other].T)
            for other in range(n_slides)
        ]
        assert scores[found[slide]] == pytest.approx(max(scores), rel=1e-5)
        assert found[slide] != slide


def test_one_slide_has_no_most_similar_one() -> None:
    with pytest.raises(ValueError, match="two slides"):
        most_similar(torch.ones(1, 2, 3))


def test_clear_groups_are_found_in_each_slide() -> None:
    truth = torch.tensor([[[0.0, 0], [10, 0], [0, 10]], [[-5.0, 5], [5, 5], [5, -5]]])
    members = [torch.arange(30) % 3, torch.arange(20) % 3]
    points = torch.cat([truth[slide][group] for slide, group in enumerate(members)])
    points = points + 0.1 * torch.randn(points.shape, generator=_seeded())
    found = slide_centres(points, [30, 20], 3, 5, _seeded())
    for slide, begin, group in ((0, 0, members[0]), (1, 30, members[1])):
        labels = found.nearest[begin : begin + len(group)]
        assert len(set(zip(labels.tolist(), group.tolist(), strict=True))) == 3
        means = torch.stack(
            [points[begin + (group == k).nonzero()[:, 0]].mean(0) for k in range(3)]
        )
        torch.testing.assert_close(found.centres[slide][labels], means[group])


def test_it_is_as_good_as_scikit_learn() -> None:
    counts = [40, 8, 100, 33]
    points = torch.randn(sum(counts), 6, generator=_seeded())
    found = slide_centres(points, counts, 4, 8, _seeded())
    for slide, rows in enumerate(points.split(counts)):
        nearest = torch.cdist(rows, found.centres[slide]).min(1)
        labels = found.nearest.split(counts)[slide]
        torch.testing.assert_close(labels, nearest.indices)
        reference = KMeans(4, n_init=8, random_state=0).fit(rows.numpy()).inertia_
        assert nearest.values.square().sum().item() <= 1.05 * reference


def test_equal_regions_give_no_nan() -> None:
    found = slide_centres(torch.ones(12, 3), [5, 7], 4, 2, _seeded())
    torch.testing.assert_close(found.centres, torch.ones(2, 4, 3))


def test_the_same_generator_gives_the_same_centres() -> None:
    points = torch.randn(50, 4, generator=_seeded())
    one, two = (slide_centres(points, [20, 30], 3, 3, _seeded(1)) for _ in range(2))
    assert torch.equal(one.centres, two.centres)


def test_too_few_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="too few for 4 centres"):
        slide_centres(torch.ones(3, 2), [3], 4, 1, _seeded())
