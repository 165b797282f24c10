"""Arrays of several files behave as one array, and only some of them are mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.rows import MapPool, ShardRows

COUNTS = (4, 0, 1, 7)
WHOLE = np.arange(24, dtype=np.float32).reshape(12, 2)


def _rows(folder: Path, most: int = 128) -> ShardRows[np.float32]:
    files = [folder / f"{number}.npy" for number in range(len(COUNTS))]
    for file, part in zip(files, np.split(WHOLE, np.cumsum(COUNTS)[:-1]), strict=True):
        np.save(file, part)
    return ShardRows(MapPool(most), files, COUNTS, np.float32, (2,))


@pytest.mark.parametrize(
    "asked",
    [
        0,
        -1,
        np.int64(4),
        slice(None),
        slice(2, 4),
        slice(3, 9),
        slice(5, 5),
        slice(9, 2),
        slice(1, 11, 3),
        slice(None, None, -1),
        [],
        [11, 0, 4, 4, -2],
        np.arange(12) % 3 == 0,
        np.array([[0, 5], [11, 4]]),
    ],
    ids=str,
)
def test_rows_are_taken_as_numpy_takes_them(tmp_path: Path, asked: object) -> None:
    rows = _rows(tmp_path, most=1)
    taken = np.asarray(asked, int) if isinstance(asked, list) else asked
    np.testing.assert_array_equal(rows[asked], WHOLE[taken])
    assert rows[asked].dtype == np.float32
    assert (len(rows), rows.shape) == (12, (12, 2))
    np.testing.assert_array_equal(np.asarray(rows), WHOLE)


def test_a_slice_within_one_file_is_not_read_until_it_is_looked_at(tmp_path: Path) -> None:
    assert isinstance(_rows(tmp_path)[6:11], np.memmap)


@pytest.mark.parametrize("row", [12, -13, [3, 12]])
def test_a_row_beyond_the_end_is_refused(tmp_path: Path, row: object) -> None:
    with pytest.raises(IndexError, match="12 rows"):
        _rows(tmp_path)[row]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_blocks_go_through_all_rows_once(tmp_path: Path, most: int) -> None:
    blocks = list(_rows(tmp_path).blocks(most))
    assert [first for first, _ in blocks] == np.cumsum(
        [0, *map(len, dict(blocks).values())][:-1]
    ).tolist()
    assert max(len(block) for _, block in blocks) <= most
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), WHOLE)


def test_a_file_that_has_gone_or_changed_is_refused_with_a_sentence(tmp_path: Path) -> None:
    rows = _rows(tmp_path)
    (tmp_path / "3.npy").unlink()
    with pytest.raises(SearchError, match="made anew"):
        rows[11]
    np.save(tmp_path / "0.npy", WHOLE)
    with pytest.raises(SearchError, match="damaged"):
        rows[0]
