"""Part of a cohort, by what a column says."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.select import select_rows
from napari_dre_slcl.errors import CohortError


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return six slides of two subtypes and three sites."""
    lines = [f"s{n},P{n},{'ABC'[n // 2]},{('LUAD', 'LUSC')[n % 2]}" for n in range(6)]
    table = tmp_path / "a.csv"
    table.write_text("\n".join(["slide_id,patient_id,site,subtype", *lines]))
    return read_cohort(table, needs_slides=False)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({}, ["s0", "s1", "s2", "s3", "s4", "s5"]),
        ({"subtype": "LUAD"}, ["s0", "s2", "s4"]),
        ({"site": "B"}, ["s2", "s3"]),
        ({"subtype": "LUSC", "site": "C"}, ["s5"]),
    ],
)
def test_rows_with_the_values_stay_in_order(cohort: Cohort, where, names) -> None:
    part = select_rows(cohort, where)
    assert [row.slide_id for row in part.rows] == names
    assert (part.table, part.label_columns) == (cohort.table, cohort.label_columns)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"grade": "1"}, "no column 'grade' to choose slides by. Choose among 'subtype', 'site'"),
        (
            {"subtype": "luad"},
            r"'luad' in the column 'subtype'. Its values are 'LUAD' \(3\), 'LUSC'",
        ),
        ({"site": ""}, "No slide .* has '' in the column 'site'"),
    ],
)
def test_unknown_columns_and_values_are_named(cohort: Cohort, where, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        select_rows(cohort, where)


def test_values_that_never_meet_are_refused(cohort: Cohort) -> None:
    one = select_rows(cohort, {"site": "A"})
    lone = select_rows(one, {"subtype": "LUAD"})
    with pytest.raises(CohortError, match="has 'LUSC' in the column 'subtype'"):
        select_rows(lone, {"subtype": "LUSC"})
    both = Cohort(cohort.table, (cohort.rows[0], cohort.rows[3]), cohort.label_columns)
    with pytest.raises(CohortError, match="has subtype=LUAD and site=B"):
        select_rows(both, {"subtype": "LUAD", "site": "B"})
