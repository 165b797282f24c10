"""An index is written whole, opened without reading its features, and refused when damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.index_part import IndexFacts, IndexSource
from napari_dre_slcl.insight.tile_index import (
    TileIndex,
    default_index_folder,
    label_columns,
)
from napari_dre_slcl.insight.write_index import write_index

MakeIndex = Callable[..., TileIndex]


def test_features_are_unit_rows_on_disk_in_the_order_of_the_slides(index_of: MakeIndex) -> None:
    features = np.array([[3, 4], [0, 2], [-5, 0]], np.float32)
    index = index_of({"a": 2, "b": 1}, dim=2, features=features)
    assert isinstance(index.features[:], np.memmap)
    np.testing.assert_allclose(index.features, [[0.6, 0.8], [0, 1], [-1, 0]], atol=1e-6)
    assert [(s.slide_id, s.first_row, s.n_tiles) for s in index.slides] == [
        ("a", 0, 2),
        ("b", 2, 1),
    ]


def test_a_row_is_found_as_the_tile_of_its_slide_even_behind_a_slide_without_tiles(
    index_of: MakeIndex,
) -> None:
    index = index_of({"a": 12, "none": 0, "b": 5})
    hit = index.hit(14, 0.25)
    assert (hit.slide.slide_id, hit.rowcol, hit.position, hit.yx) == ("b", (0, 2), 2, (0, 1024))
    assert index.hit(11, 0).slide.slide_id == "a"
    assert index.codeword_counts.sum(axis=1).tolist() == [12, 0, 5]


def test_tiles_of_a_result_are_found_in_any_order_and_strange_ones_are_not(
    index_of: MakeIndex,
) -> None:
    index = index_of({"a": 4, "b": 15})
    slide = index.find_slide("b")
    assert slide is not None
    wanted = np.array([[1, 3], [0, 0], [7, 7], [1, 4]])
    assert index.find_rows(slide, wanted).tolist() == [17, 4, -1, 18]
    own = index.rowcol[slide.rows]
    assert index.find_rows(slide, own).tolist() == list(range(4, 19))


def test_a_slide_that_was_moved_is_found_by_its_name_or_file(index_of: MakeIndex) -> None:
    index = index_of({"a": 1, "b": 1})
    by_path = index.find_slide("b", "/slides/a.svs")
    by_file = index.find_slide("other", "/elsewhere/b.svs")
    assert by_path is not None
    assert by_path.slide_id == "a"
    assert by_file is not None
    assert by_file.slide_id == "b"
    assert index.find_slide("c", "/elsewhere/c.svs") is None


def test_a_new_index_takes_the_place_of_the_old_one_that_is_still_open(
    index_of: MakeIndex,
) -> None:
    old = index_of({"a": 3})
    before = np.asarray(old.features)
    new = index_of({"a": 3, "b": 4})
    assert len(new) == 7
    np.testing.assert_array_equal(old.features, before)
    assert len(list(old.folder.glob("data-*"))) == 1


def test_an_index_that_cannot_be_finished_leaves_the_one_before(
    index_of: MakeIndex,
    sources_of: Callable[..., list[IndexSource]],
    broken_source: Callable[[IndexSource], IndexSource],
) -> None:
    index = index_of({"a": 3})
    facts = IndexFacts("model", "hash", "dre-slcl", 3, 6)
    with pytest.raises(SearchError, match="No space left"):
        write_index(index.folder, facts, [broken_source(sources_of({"a": 3})[0])])
    assert len(TileIndex.open(index.folder)) == 3
    assert not list(index.folder.rglob(".aside-*"))


def test_results_are_found_where_the_whole_folder_was_moved(
    index_of: MakeIndex, tmp_path: Path
) -> None:
    index = index_of({"a": 3})
    moved = index.folder.rename(tmp_path / "moved")
    assert TileIndex.open(moved).slides[0].result == moved / "results" / "a.dreslcl.npz"


@pytest.mark.parametrize("damage", ["header", "array", "short", "missing", "format"])
def test_a_damaged_index_is_refused_with_a_sentence(index_of: MakeIndex, damage: str) -> None:
    folder = index_of({"a": 3}).folder
    header = folder / "index.json"
    data = next(folder.glob("shards/*"))
    if damage == "header":
        header.write_text("{")
    elif damage == "array":
        (data / "codeword.npy").write_bytes(b"\x93NUMPY")
    elif damage == "short":
        np.save(data / "codeword.npy", np.zeros(2, np.int32))
    elif damage == "missing":
        header.unlink()
    else:
        header.write_text(json.dumps(json.loads(header.read_text()) | {"format": 99}))
    with pytest.raises(SearchError, match=r"index"):
        TileIndex.open(folder)


def test_label_columns_with_classes_are_offered_and_learned_ones_first(
    index_of: MakeIndex,
) -> None:
    slides = {
        f"s{i}": {"labels": {"area": "xy"[i % 2], "subtype": "AB"[i % 2], "serial": f"{i}"}}
        for i in range(14)
    }
    index = index_of(dict.fromkeys(slides, 1), slides=slides)
    assert label_columns(index) == ("subtype", "area")


def test_the_index_of_a_run_lies_in_it_and_that_of_a_model_beside_it(tmp_path: Path) -> None:
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    (model / "model.json").touch()
    assert default_index_folder(tmp_path / "run") == tmp_path / "run" / "index"
    assert default_index_folder(model) == tmp_path / "run" / "index"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("n_codewords",), "x"),
        (("n_codewords",), 5),
        (("n_tiles",), 1),
        (("slides", 1, "first_row"), 0),
        (("slides", 1, "n_tiles"), -1),
        (("slides", 1, "labels"), None),
        (("slides", 1, "path"), 7),
        (("slides", 1, "tile_size_px"), None),
        (("shards", 0, "n_tiles"), None),
    ],
)
def test_an_edited_index_is_refused_when_it_is_opened(
    index_of: MakeIndex, where: tuple[str | int, ...], value: object
) -> None:
    index = index_of({"a": 3, "b": 4})
    file = index.folder / "index.json"
    said = json.loads(file.read_text())
    record = said
    for key in where[:-1]:
        record = record[key]
    record[where[-1]] = value
    file.write_text(json.dumps(said))
    with pytest.raises(SearchError, match="damaged"):
        TileIndex.open(index.folder)
