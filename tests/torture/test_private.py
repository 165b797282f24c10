"""What the part on private data finds, and that it would find a leak."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from torture.plan import Plan
from torture.private import run
from torture.private.identities import Identities
from torture.private.onlookers import watched
from torture.private.search import coloured_pictures, leaks_in
from torture.private.tiff_slides import MAGENTA


def test_nothing_that_names_a_patient_leaves_the_machine(tmp_path: Path) -> None:
    told: list[str] = []
    rows = list(run(Plan(seed=0, share=0.01, folder=tmp_path, say=told.append)))
    assert len(rows) > 10
    assert [row.fault for row in rows if not row.is_passed] == [], told


def _text(path: Path, word: str) -> None:
    path.with_suffix(".txt").write_text(f"about {word.upper()}.", encoding="utf-8")


def _utf16(path: Path, word: str) -> None:
    path.write_bytes(f"about {word}".encode("utf-16-le"))


def _npz(path: Path, word: str) -> None:
    np.savez_compressed(path.with_suffix(".npz"), header=np.array(json.dumps({"slide": word})))


def _npy(path: Path, word: str) -> None:
    np.save(path.with_suffix(".npy"), np.array([word]))


def _attribute(path: Path, word: str) -> None:
    with h5py.File(path.with_suffix(".h5"), "w") as stored:
        stored.create_dataset("a", data=np.zeros(3)).attrs["name"] = word


def _name(path: Path, word: str) -> None:
    (path / word).mkdir(parents=True)


def _link(path: Path, word: str) -> None:
    path.symlink_to(f"/nowhere/{word}")


def _parquet(path: Path, word: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"slide": [word] * 50})
    parquet.write_table(table, path.with_suffix(".parquet"), compression="zstd")


@pytest.mark.parametrize("hide", [_text, _utf16, _npz, _npy, _attribute, _name, _link, _parquet])
def test_an_identifier_is_found_wherever_it_is(
    tmp_path: Path, hide: Callable[[Path, str], None]
) -> None:
    who = Identities(random.Random(0))
    word, other = who.word("header", "a"), who.word("header", "b")
    hide(tmp_path / "file", word)
    assert [leak.seed.text for leak in leaks_in(tmp_path, who.seeds)] == [word]
    assert other != word


def test_a_label_is_seen_in_a_picture(tmp_path: Path) -> None:
    pixels = np.full((100, 200, 3), 230, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    pixels[:40, :60] = MAGENTA
    Image.fromarray(pixels).save(tmp_path / "labelled.jpg", quality=90)
    assert coloured_pictures(tmp_path) == [Path("labelled.jpg")]


def test_what_others_see_of_a_process_is_written_down(tmp_path: Path) -> None:
    with (
        watched(tmp_path / "seen.txt"),
        subprocess.Popen(
            [sys.executable, "-c", "input()", "Mustermann"], stdin=subprocess.PIPE
        ) as child,
    ):
        time.sleep(1.2)
        child.communicate(b"\n")
    assert "Mustermann" in (tmp_path / "seen.txt").read_text()
