"""Tables and search indexes are tried in a process of their own, as slides are.

What ends that process comes from outside: a `sitecustomize` that only it loads lets the libraries
crash, as a hostile file does by itself. What takes memory is a file that does so by itself.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.feature_index import update_index
from napari_dre_slcl.cohort.parquet_table import read_parquet
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.insight.fit_codes import CodeSizes
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.insight.tile_codes import FITTED_FILE, read_fitted
from napari_dre_slcl.insight.write_index import IndexOptions, write_index
from napari_dre_slcl.trial.kinds import CODES, KINDS, PARQUET, kind_of

h5py = pytest.importorskip("h5py")
faiss = pytest.importorskip("faiss")
openpyxl = pytest.importorskip("openpyxl")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

HARM = """
import os, sys
if sys.orig_argv[-2] == "napari_dre_slcl.trial.child" and "CRASH" in os.environ:
    import signal
    def crash(*_, **__):
        os.kill(os.getpid(), signal.SIGSEGV)
    if sys.orig_argv[-1] == "codes":
        import faiss
        faiss.read_index = crash
    elif sys.orig_argv[-1] == "workbook":
        import openpyxl
        openpyxl.load_workbook = crash
    else:
        import pyarrow.parquet
        pyarrow.parquet.ParquetFile = crash
"""
HOST = """
import json, os, sys
from pathlib import Path
from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.feature_index import read_index
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.insight.tile_index import TileIndex

def said(act):
    try:
        return act()
    except DreSlclError as error:
        return f"{type(error).__name__}: {error}"

folder = Path(sys.argv[1])
acts = {
    "xlsx": lambda: len(read_cohort(folder / "a.xlsx", needs_slides=False).rows),
    "parquet": lambda: len(read_cohort(folder / "a.parquet", needs_slides=False).rows),
    "feature index": lambda: len(read_index(folder / "features")),
    "search index": lambda: len(TileIndex.open(folder / "index").codes),
}
came = {}
os.environ["CRASH"] = "all"
came["harmful"] = {name: said(act) for name, act in acts.items()}
del os.environ["CRASH"]
for when in ("sound", "again"):
    came[when] = {name: said(act) for name, act in acts.items()}
    os.environ["CRASH"] = "all"
came["book"] = len((folder / "user" / "proved-files.txt").read_text().splitlines())
print(json.dumps(came))
"""
ROWS = (("slide_id", "patient_id"), ("a", "P1"), ("b", "P2"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "sitecustomize.py").write_text(HARM)
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.save(folder / "a.xlsx")
    columns = {head: list(cells) for head, *cells in zip(*ROWS, strict=True)}
    parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    (folder / "features").mkdir()
    with h5py.File(folder / "features" / "a.h5", "w") as file:
        file["features"] = np.ones((6, 4), np.float32)
    update_index(folder / "features")
    make_search_index(folder / "index")
    return folder


def make_search_index(folder: Path) -> None:
    rng = np.random.default_rng(0)
    n_tiles = 300
    part = IndexPart(
        np.stack(np.divmod(np.arange(n_tiles), 10), axis=1).astype(np.int32),
        np.zeros(n_tiles, np.int32),
        rng.random(n_tiles).astype(np.float32),
        rng.random(n_tiles).astype(np.float32),
        rng.standard_normal(5).astype(np.float32),
        rng.standard_normal((n_tiles, 8)).astype(np.float32),
    )
    slide = IndexedSlide("a", "P", "a.svs", Path("a.npz"), n_tiles, 0, 0.5, 512, (9999, 8888))
    codes = CodeSizes(n_questions=20, numbers_per_byte=1)
    options = IndexOptions(shard_tiles=300, most_exact=100, codes=codes)
    facts = IndexFacts("model", "hash", "dre-slcl", 3, 8)
    write_index(folder, facts, [IndexSource(slide, "a", lambda: part)], options)


@pytest.fixture(scope="module")
def came(folder: Path) -> dict[str, dict[str, object]]:
    place = {"PYTHONPATH": str(folder), "DRE_SLCL_CONFIG_DIR": str(folder / "user")}
    done = subprocess.run(
        [sys.executable, "-c", HOST, folder],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | place,
        timeout=200,
    )
    assert not done.returncode, done.stderr
    told: dict[str, dict[str, object]] = json.loads(done.stdout)
    return told


def test_every_kind_has_its_reader() -> None:
    for kind in KINDS.values():
        module, _, name = kind.reader.partition(":")
        assert callable(getattr(importlib.import_module(module), name)), kind.name


def test_a_kind_is_known_by_the_end_of_a_name() -> None:
    assert kind_of(".PARQUET") is PARQUET
    assert kind_of(".csv") is None


def test_large_files_get_more_time_and_memory() -> None:
    assert PARQUET.limits(2**20).cpu_s == PARQUET.limits(0).cpu_s + 10
    # Mapped codes count as memory.
    assert CODES.limits(2**34).memory_bytes > 2**35


@pytest.mark.parametrize(("what", "name"), [("xlsx", "a.xlsx"), ("parquet", "a.parquet")])
def test_table_that_ends_its_trial_is_refused_with_a_sentence(came, what, name) -> None:
    said = came["harmful"][what]
    assert said.startswith(
        f"CohortError: The table '{name}' ends the program that opens it (SIGSEGV), and was opened "
        "in a trial only (limits: 10 s of processor time, 1 GiB of memory)."
    )
    assert said.endswith("get it again from its source, or save it as CSV UTF-8.")


def test_feature_index_that_ends_its_trial_is_as_if_there_were_none(came) -> None:
    assert came["harmful"]["feature index"] == 0


def test_codes_that_end_their_trial_are_refused_with_a_sentence(came) -> None:
    said = came["harmful"]["search index"]
    assert said.startswith("SearchError: The search index 'index' ends the program that opens it")
    assert said.endswith("make the cohort searchable again.")


def test_sound_ones_are_tried_once(came) -> None:
    sound = {"xlsx": 2, "parquet": 2, "feature index": 1, "search index": 300}
    assert came["sound"] == came["again"] == sound
    assert came["book"] == 4


def test_parquet_that_asks_for_much_memory_is_refused_with_a_sentence(tmp_path: Path) -> None:
    table = pyarrow.table({"slide_id": ["a" * 100] * 100})
    parquet.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    content = (tmp_path / "a.parquet").read_bytes()
    # A page begins with its kind, its length, and how long it is as it is packed.
    length, packed = content[7:10], content[11:13]
    assert content[4:7] == b"\x15\x00\x15"
    assert content[10:11] == b"\x15"
    grown = b"\xfe\xff\xff\xff\x0f"  # 2**31 - 1
    shorter = bytes([packed[0] - 2 * (len(grown) - len(length)), packed[1]])
    content = content[:7] + grown + b"\x15" + shorter + content[13:]
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(CohortError, match=r"'a.parquet' asks for too much memory, and was opened"):
        read_cohort(tmp_path / "a.parquet", needs_slides=False)


def test_parquet_with_a_date_beyond_all_calendars_is_refused(tmp_path: Path) -> None:
    dates = pyarrow.array([2**31 - 1], pyarrow.date32())
    parquet.write_table(pyarrow.table({"slide_id": dates}), tmp_path / "a.parquet")
    with pytest.raises(CohortError, match="is damaged"):
        read_parquet(tmp_path / "a.parquet", Findings())


def test_codes_are_looked_at_before_faiss_reads_them(folder: Path, tmp_path: Path) -> None:
    (codes,) = (folder / "index" / "codes").iterdir()
    content = bytearray((codes / FITTED_FILE).read_bytes())
    content[37:45] = (2**40).to_bytes(8, "little")  # so many lists
    (tmp_path / FITTED_FILE).write_bytes(content)
    with pytest.raises(ValueError, match="another kind"):
        read_fitted(tmp_path)
