"""Bytes and seconds in words."""

import pytest

from napari_dre_slcl.engine.amounts import bytes_text, duration_text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "under 1 MiB"),
        (2**20, "1.0 MiB"),
        (300 * 2**20, "300 MiB"),
        (3.25 * 2**30, "3.2 GiB"),
        (64 * 2**30, "64 GiB"),
        (5000 * 2**40, "5,000 TiB"),
    ],
)
def test_bytes_are_said_with_two_figures_or_more(n_bytes: float, text: str) -> None:
    assert bytes_text(n_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under 1 s"),
        (45, "45 s"),
        (99.9, "2 min"),
        (720, "12 min"),
        (3599, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (190_000, "2 d 5 h"),
    ],
)
def test_durations_are_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
