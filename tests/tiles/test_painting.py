"""Painting over a mask: what was painted stays, what was found may change under it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_dre_slcl.tiles import MaskClass, TissueMask
from napari_dre_slcl.tiles.painting import (
    PAINTED,
    classes_of,
    is_painted,
    lay_over,
    mark_strokes,
    painting_of,
    resized,
)

FOUND = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.uint8)


@pytest.mark.parametrize("painted", list(MaskClass))
def test_a_stroke_with_any_class_is_painted_where_it_changes_something(painted) -> None:
    stroke = FOUND.copy()
    stroke[:, 1:3] = painted
    values = mark_strokes(stroke, FOUND)
    np.testing.assert_array_equal(classes_of(values), stroke)
    np.testing.assert_array_equal(is_painted(values), stroke != FOUND)


def test_what_was_painted_as_such_stays_painted_over_the_same_class() -> None:
    stroke = np.full_like(FOUND, PAINTED + MaskClass.TISSUE)
    values = mark_strokes(stroke, FOUND)
    assert is_painted(values).all()
    assert (classes_of(values) == MaskClass.TISSUE).all()


def test_labels_that_mean_nothing_are_taken_back() -> None:
    stroke = FOUND.copy()
    stroke[0] = (8, 9, 100, 255)
    np.testing.assert_array_equal(mark_strokes(stroke, FOUND), FOUND)


def test_painting_survives_another_mask_under_it() -> None:
    stroke = FOUND.copy()
    stroke[0, :2] = PAINTED + MaskClass.TISSUE
    stroke[0, 2] = PAINTED + MaskClass.GLASS
    other = np.ones_like(FOUND)
    laid = lay_over(stroke, other)
    np.testing.assert_array_equal(laid, [[5, 5, 4, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(lay_over(laid, FOUND), lay_over(stroke, FOUND))


def test_a_mask_from_a_file_becomes_a_painting_over_what_is_found() -> None:
    found = TissueMask(FOUND, 16.0, (32, 64))
    wanted = replace(found, labels=np.array([[1, 1, 1, 0], [2, 2, 3, 3]], np.uint8))
    values = painting_of(wanted, found)
    np.testing.assert_array_equal(classes_of(values), wanted.labels)
    np.testing.assert_array_equal(np.argwhere(is_painted(values)), [[0, 0], [0, 1], [0, 3]])


def test_a_painting_keeps_its_place_at_another_resolution() -> None:
    twice = resized(FOUND, (4, 8))
    np.testing.assert_array_equal(twice, FOUND.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(resized(twice, FOUND.shape), FOUND)
    assert resized(FOUND, FOUND.shape) is FOUND
