"""An index is renewed shard by shard, goes on where a killed process was, and reads format 1."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.index_part import IndexFacts, IndexSource
from napari_dre_slcl.insight.search import nearest_tiles, nearest_to_codeword
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexOptions, write_index
from napari_dre_slcl.locks.lock_file import hold

MakeIndex = Callable[..., TileIndex]
MakeSources = Callable[..., list[IndexSource]]

FACTS = IndexFacts("model", "hash", "dre-slcl", 3, 6)
SMALL = IndexOptions(shard_tiles=20)
SIZES = {"a": 12, "b": 8, "c": 15, "d": 5, "e": 9}


def _written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}


def test_only_the_shard_of_a_slide_that_is_another_is_written_again(
    sources_of: MakeSources, tmp_path: Path
) -> None:
    sources = sources_of(SIZES)
    first = write_index(tmp_path, FACTS, sources, SMALL)
    assert (first.n_written, first.n_kept) == (3, 0)
    before = _written(tmp_path)
    header = (tmp_path / "index.json").stat().st_mtime_ns
    again = write_index(tmp_path, FACTS, sources, SMALL)
    assert (tmp_path / "index.json").stat().st_mtime_ns == header
    assert (again.n_written, again.n_kept) == (0, 3)
    assert again.header.data == first.header.data
    changed = sources_of({"c": 4}, features=np.ones((4, 6), np.float32))
    third = write_index(tmp_path, FACTS, [*sources[:2], *changed, *sources[3:]], SMALL)
    assert (third.n_written, third.n_kept) == (1, 2)
    after = _written(tmp_path)
    assert len(after.items() & before.items()) == 2
    assert len(after) == 3
    index = TileIndex.open(tmp_path)
    assert [slide.slide_id for slide in index.slides] == list("abcde")
    np.testing.assert_allclose(index.features[index.slides[2].rows], 6**-0.5, rtol=1e-6)
    assert index.codeword_counts.sum(axis=1).tolist() == [12, 8, 4, 5, 9]


def test_a_slide_that_is_added_or_gone_leaves_other_shards(
    sources_of: MakeSources, tmp_path: Path
) -> None:
    sources = sources_of(SIZES | {"new": 7})
    write_index(tmp_path, FACTS, sources[:5], SMALL)
    added = write_index(tmp_path, FACTS, [sources[5], *sources[:5]], SMALL)
    assert (added.n_written, added.n_kept) == (1, 2)
    gone = write_index(tmp_path, FACTS, [*sources[:2], *sources[3:]], SMALL)
    names = {slide.slide_id for slide in TileIndex.open(tmp_path).slides}
    assert names == {"a", "b", "d", "e", "new"}
    assert gone.n_kept >= 1


def test_labels_change_without_writing_a_shard(index_of: MakeIndex) -> None:
    index_of({"a": 3}, slides={"a": {"labels": {"subtype": "A"}}})
    index = index_of({"a": 3}, slides={"a": {"labels": {"subtype": "B"}}})
    assert index.slides[0].labels == {"subtype": "B"}


def test_another_model_writes_everything_again(sources_of: MakeSources, tmp_path: Path) -> None:
    write_index(tmp_path, FACTS, sources_of(SIZES), SMALL)
    other = IndexFacts("model", "other hash", "dre-slcl", 3, 6)
    assert write_index(tmp_path, other, sources_of(SIZES), SMALL).n_written == 3
    assert len(_written(tmp_path)) == 3


def test_what_stops_the_writing_leaves_the_shards_that_are_done(
    sources_of: MakeSources,
    broken_source: Callable[[IndexSource], IndexSource],
    tmp_path: Path,
) -> None:
    sources = sources_of(SIZES)
    with pytest.raises(SearchError, match="No space left"):
        write_index(tmp_path, FACTS, [*sources[:4], broken_source(sources[4])], SMALL)
    assert not (tmp_path / "index.json").exists()
    rest = write_index(tmp_path, FACTS, sources, SMALL)
    assert (rest.n_written, rest.n_kept) == (1, 2)


@pytest.mark.parametrize(
    "damage", ["short", "gone", "kind", "shape", "data", "vectors", "counts", "nearest"]
)
def test_a_damaged_index_is_mended_by_making_it_again(
    sources_of: MakeSources, tmp_path: Path, damage: str
) -> None:
    header = write_index(tmp_path, FACTS, sources_of(SIZES), SMALL).header
    shard = tmp_path / "shards" / header.shards[1].name
    whole = np.asarray(TileIndex.open(tmp_path).features)
    if damage == "short":
        os.truncate(shard / "features.npy", 200)
    elif damage == "gone":
        (shard / "codeword.npy").unlink()
    elif damage == "kind":
        np.save(shard / "codeword.npy", np.load(shard / "codeword.npy").astype(np.float64))
    elif damage == "shape":
        np.save(shard / "rowcol.npy", np.load(shard / "rowcol.npy")[:, :1])
    else:
        name = {
            "data": "atlas_tiles",
            "vectors": "slide_vectors",
            "counts": "codeword_counts",
            "nearest": "codeword_nearest",
        }[damage]
        (tmp_path / header.data / f"{name}.npy").write_bytes(b"")
    with pytest.raises(SearchError, match="index"):
        TileIndex.open(tmp_path)
    mended = write_index(tmp_path, FACTS, sources_of(SIZES), SMALL)
    assert mended.n_written == (damage in {"short", "gone", "kind", "shape"})
    np.testing.assert_array_equal(np.asarray(TileIndex.open(tmp_path).features), whole)


def test_two_processes_do_not_write_one_index(sources_of: MakeSources, tmp_path: Path) -> None:
    lock = hold(tmp_path / ".lock", keeps_if_stopped=True)
    with lock, pytest.raises(SearchError, match=r"Another process .* process \d+ on .* since"):
        write_index(tmp_path, FACTS, sources_of(SIZES), SMALL)


_KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.insight.write_index import IndexOptions, write_index

folder, wait_at = Path(sys.argv[1]), int(sys.argv[2])

def read(number):
    if number == wait_at:
        print("waits", flush=True)
        time.sleep(60)
    rng = np.random.default_rng(number)
    return IndexPart(
        np.stack([np.arange(9)] * 2, 1).astype(np.int32), np.zeros(9, np.int32),
        np.ones(9, np.float32), np.ones(9, np.float32), np.ones(5, np.float32),
        rng.standard_normal((9, 6)),
    )

sources = [
    IndexSource(
        IndexedSlide(f"s{n}", "", "", Path("r"), 9, 0, None, 1, (1, 1)),
        f"{n} {sys.argv[3] if n == 4 else ''}",
        lambda n=n: read(n),
    )
    for n in range(6)
]
facts = IndexFacts("model", "hash", "dre-slcl", 3, 6)
done = write_index(folder, facts, sources, IndexOptions(shard_tiles=18))
print(done.n_written, done.n_kept)
"""


def test_a_killed_process_leaves_the_earlier_index_and_the_next_goes_on(tmp_path: Path) -> None:
    script = [sys.executable, "-c", _KILLED, str(tmp_path)]

    def run(wait_at: int, mark: str) -> subprocess.Popen[str]:
        told = [*script, str(wait_at), mark]
        return subprocess.Popen(told, stdout=subprocess.PIPE, text=True, env=dict(os.environ))

    def killed(wait_at: int, mark: str) -> None:
        with run(wait_at, mark) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waits\n"
            process.send_signal(signal.SIGKILL)

    killed(3, "")
    assert not (tmp_path / "index.json").exists()
    with run(-1, "") as process:
        assert process.communicate()[0] == "2 1\n"
    before = np.asarray(TileIndex.open(tmp_path).features)
    killed(4, "again")
    np.testing.assert_array_equal(np.asarray(TileIndex.open(tmp_path).features), before)
    with run(-1, "again") as process:
        assert process.communicate()[0] == "1 2\n"
    assert not list(tmp_path.rglob(".aside-*"))


def test_an_index_of_format_1_is_searched_as_before(index_of: MakeIndex) -> None:
    new = index_of({"a": 12, "none": 0, "b": 5})
    expected = nearest_tiles(new, new.features[3], 5)
    cards = nearest_to_codeword(new, 1, 4)
    header = json.loads((new.folder / "index.json").read_text())
    shard = next((new.folder / "shards").iterdir())
    data = new.folder / header["data"]
    for name in ("codeword_counts", "codeword_nearest"):
        (data / f"{name}.npy").unlink()
    for name in ("features", "rowcol", "codeword", "attention", "residual_norm"):
        (shard / f"{name}.npy").rename(data / f"{name}.npy")
    kept = {key: header[key] for key in header if key not in {"shards", "codes", "marks", "notes"}}
    (new.folder / "index.json").write_text(json.dumps(kept | {"format": 1}))

    old = TileIndex.open(new.folder)

    assert [hit.number for hit in nearest_tiles(old, new.features[3], 5)] == [
        hit.number for hit in expected
    ]
    assert nearest_to_codeword(old, 1, 4) == cards
    np.testing.assert_array_equal(old.codeword_counts, new.codeword_counts)


def test_an_index_of_many_shards_says_when_a_part_has_gone(
    sources_of: MakeSources, tmp_path: Path
) -> None:
    sources = sources_of({f"s{number}": 2 for number in range(60)})
    write_index(tmp_path, FACTS, sources, IndexOptions(shard_tiles=2))
    index = TileIndex.open(tmp_path)
    assert len(nearest_tiles(index, index.features[7], 3)) == 3
    gone = tmp_path / "shards" / index.header.shards[-1].name
    (gone / "features.npy").unlink()
    with pytest.raises(SearchError, match="made anew"):
        TileIndex.open(tmp_path).features[119]
    (gone / "rowcol.npy").unlink()
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    with pytest.raises(SearchError, match="damaged"):
        TileIndex.open(tmp_path)
