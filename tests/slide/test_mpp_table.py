"""The table of answers beside the slides: used, shared, kept whole, and never the slide itself."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.mpp_table import (
    TABLE_NAME,
    forget_mpp,
    recall_mpp,
    remember_mpp,
    user_table,
)

NOBODY = 65_534


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's configuration folder."""
    folder = tmp_path / "config"
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(folder))
    return folder


@pytest.fixture
def plain(slide_file) -> Path:
    """Return a slide that states no pixel size."""
    return slide_file("plain.tif", mpp=None)


def lines(table: Path) -> list[str]:
    return table.read_text(encoding="utf-8").splitlines()


def info(path: Path, **given: object):
    with open_slide(path, **given) as slide:
        return slide.info


def test_answer_is_stored_beside_the_slide_and_used_at_the_next_open(plain):
    content = plain.read_bytes()
    assert info(plain).mpp is None
    table = remember_mpp(plain, 0.2501)
    assert table == plain.parent / TABLE_NAME
    assert lines(table) == ["slide,mpp,size_bytes", f"plain.tif,0.2501,{len(content)}"]
    assert (info(plain).mpp, info(plain).mpp_source) == (0.2501, "stored answer")
    assert plain.read_bytes() == content


def test_explicit_size_goes_before_the_answer_and_the_answer_before_the_file(slide_file):
    path = slide_file("half.tif", mpp=0.5)
    remember_mpp(path, 0.25)
    assert (info(path, mpp=0.3).mpp, info(path, mpp=0.3).mpp_source) == (0.3, "user")
    cohort = info(path, mpp=0.3, mpp_source="cohort table")
    assert (cohort.mpp, cohort.mpp_source) == (0.3, "cohort table")
    stored = info(path)
    assert (stored.mpp, stored.mpp_source) == (0.25, "stored answer")
    assert [found.code for found in stored.findings] == ["mpp-against-file"]


def test_new_answer_replaces_the_old_one_and_forgetting_leaves_the_others(plain, slide_file):
    other = slide_file("other.tif", mpp=None)
    table = remember_mpp(plain, 0.25)
    remember_mpp(other, 1)
    remember_mpp(plain, 0.5)
    assert (recall_mpp(plain).mpp, recall_mpp(other).mpp) == (0.5, 1)
    assert len(lines(table)) == 3
    assert forget_mpp(plain) == (table,)
    assert forget_mpp(plain) == ()
    assert (recall_mpp(plain).mpp, recall_mpp(other).mpp) == (None, 1)


def test_other_file_of_the_same_name_is_not_mistaken(plain, slide_file):
    remember_mpp(plain, 0.25)
    slide_file("plain.tif", mpp=None, levels=1)
    found = info(plain)
    assert (found.mpp, found.mpp_source) == (None, "unknown")
    assert [one.code for one in found.findings] == ["mpp-missing", "stored-answer-of-other-file"]
    assert str(plain.parent / TABLE_NAME) in found.findings[1].sentence
    remember_mpp(plain, 0.5)
    assert recall_mpp(plain).mpp == 0.5
    slide_file("plain.tif", mpp=None)
    assert recall_mpp(plain).mpp == 0.25, "the first file is back, and so is its answer"


def test_slides_that_are_folders_have_answers_beside_the_folder(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(bytes(100))
    table = remember_mpp(folder, 0.5)
    assert table == tmp_path / TABLE_NAME
    remember_mpp(folder / "a.dcm", 0.25)  # its table lies in the folder and must not count
    assert recall_mpp(folder).mpp == 0.5
    (folder / "b.dcm").write_bytes(bytes(1))
    assert recall_mpp(folder).mpp is None


def size_line(path: Path, *cells: str) -> str:
    return "slide,mpp,size_bytes\n" + ",".join((*cells, str(path.stat().st_size))) + "\n"


@pytest.mark.parametrize(
    "cells", [("plain.tif", " 0.33"), (" plain.tif ", "0.33 "), ("plain.tif\t", " 0.33")]
)
def test_hand_edited_line_with_blanks_is_used_replaced_and_forgotten(plain, cells):
    table = plain.parent / TABLE_NAME
    text = size_line(plain, *cells).replace(
        f",{plain.stat().st_size}", f", {plain.stat().st_size} "
    )
    table.write_text(text)
    assert recall_mpp(plain).mpp == 0.33
    assert forget_mpp(plain) == (table,)
    assert recall_mpp(plain).mpp is None
    table.write_text(text)
    remember_mpp(plain, 0.5)
    assert lines(table)[1:] == [f"plain.tif,0.5,{plain.stat().st_size}"]


def test_exact_name_goes_before_a_hand_edited_line_below_it(plain):
    table = plain.parent / TABLE_NAME
    table.write_text(
        size_line(plain, "plain.tif", "0.5") + f" plain.tif,0.25,{plain.stat().st_size}\n"
    )
    assert recall_mpp(plain).mpp == 0.5


@pytest.mark.skipif(sys.platform == "win32", reason="no such file names there")
@pytest.mark.parametrize(
    "name", [" plain.tif", "plain.tif ", "a\nb.tif", "a\r\nb.tif", "a\rb.tif", '"a",b.tif']
)
def test_strange_file_name_has_an_answer_of_its_own(plain, name):
    strange = plain.with_name(name)
    strange.write_bytes(plain.read_bytes())
    table = remember_mpp(strange, 0.25)
    assert (recall_mpp(strange).mpp, recall_mpp(plain).mpp) == (0.25, None)
    assert forget_mpp(plain) == ()
    remember_mpp(plain, 0.5)
    assert (recall_mpp(strange).mpp, recall_mpp(plain).mpp) == (0.25, 0.5)
    assert forget_mpp(strange) == (table,)
    assert (recall_mpp(strange).mpp, recall_mpp(plain).mpp) == (None, 0.5)


def test_file_name_that_is_not_utf_8_has_an_answer(plain):
    latin = plain.with_name(os.fsdecode(b"caf\xe9.tif") if os.name == "posix" else "caf\udce9.tif")
    try:
        latin.write_bytes(plain.read_bytes())
    except (OSError, UnicodeEncodeError):
        pytest.skip("the file system takes no file names that are not UTF-8")
    utf8 = plain.with_name("café.tif")
    utf8.write_bytes(plain.read_bytes())
    table = remember_mpp(latin, 0.25)
    assert table.read_bytes().splitlines()[1].startswith(b"caf\xe9.tif,0.25,")
    remember_mpp(utf8, 0.5)
    assert (recall_mpp(latin).mpp, recall_mpp(utf8).mpp) == (0.25, 0.5)
    assert (info(latin).mpp, info(latin).mpp_source) == (0.25, "stored answer")
    assert forget_mpp(latin) == (table,)
    assert (recall_mpp(latin).mpp, recall_mpp(utf8).mpp) == (None, 0.5)


def test_columns_and_lines_of_others_stay(plain):
    table = plain.parent / TABLE_NAME
    table.write_text(
        'who,slide,mpp,size_bytes\nAnn,a.svs,0.25,12\nshort line\nBo,"b, c.svs",wide,7\n',
        encoding="utf-8",
    )
    remember_mpp(plain, 0.5)
    assert lines(table)[:4] == [
        "who,slide,mpp,size_bytes",
        "Ann,a.svs,0.25,12",
        "short line",
        'Bo,"b, c.svs",wide,7',
    ]
    assert lines(table)[4].startswith(",plain.tif,0.5,")
    forget_mpp(plain)
    assert len(lines(table)) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"slide;mpp;size_bytes\nplain.tif;0.25;1\n", "first line lacks 'slide' and 'mpp'"),
        (b"slide,mpp\nplain.tif,0.25\n", "first line lacks 'size_bytes'"),
        (b"\xff\xfe\x00slide,mpp", "no text in UTF-8"),
        (b'slide,mpp,size_bytes\n"plain.tif,0.25,1\n', "no CSV file"),
    ],
)
def test_broken_table_is_told_and_left_as_it_is(plain, content, words):
    table = plain.parent / TABLE_NAME
    table.write_bytes(content)
    found = info(plain)
    assert found.mpp is None
    (broken,) = (one for one in found.findings if one.code == "stored-answer-broken")
    assert broken.severity == "warning"
    for change in (lambda: remember_mpp(plain, 0.5), lambda: forget_mpp(plain)):
        with pytest.raises(SlideError, match=words) as caught:
            change()
        for sentence in (str(caught.value), broken.sentence):
            assert str(table) in sentence
            assert words in sentence
            assert "correct the table, or delete it" in sentence
    assert table.read_bytes() == content


@pytest.mark.parametrize("text", ["wide", "0.01", "nan", ""])
def test_broken_answer_is_told_not_used_and_can_be_given_again(plain, text):
    table = plain.parent / TABLE_NAME
    table.write_text(f"slide,mpp,size_bytes\nplain.tif,{text},{plain.stat().st_size}\n")
    found = info(plain)
    assert found.mpp is None
    (broken,) = (one for one in found.findings if one.code == "stored-answer-broken")
    assert f"its line for this slide gives mpp '{text}'" in broken.sentence
    remember_mpp(plain, 0.5)
    assert info(plain).mpp == 0.5


@pytest.mark.parametrize("mpp", [0, 0.05, 20, float("nan")])
def test_implausible_answer_is_not_stored(plain, mpp):
    with pytest.raises(SlideError, match=r"give mpp between 0\.1 and 10"):
        remember_mpp(plain, mpp)
    assert not (plain.parent / TABLE_NAME).exists()


def test_answer_for_a_slide_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SlideError, match="does not exist"):
        remember_mpp(tmp_path / "gone.svs", 0.5)


@contextmanager
def locked_folder(path: Path) -> Iterator[Path]:
    """Give a copy of a slide in a folder that this process cannot write to, whoever runs it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "locked"
        folder.mkdir()
        copy = folder / path.name
        copy.write_bytes(path.read_bytes())
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield copy
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked by mode there")
def test_answer_goes_to_the_users_own_table_where_the_folder_is_locked(plain, monkeypatch):
    with tempfile.TemporaryDirectory() as config:
        Path(config).chmod(0o777)
        monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", config)
        with locked_folder(plain) as locked:
            table = remember_mpp(locked, 0.25)
            assert table == user_table()
            assert lines(table)[1].startswith(f"{locked},0.25,")
            assert (info(locked).mpp, info(locked).mpp_source) == (0.25, "stored answer")
            assert os.listdir(locked.parent) == [locked.name]
            assert forget_mpp(locked) == (table,)
            assert info(locked).mpp is None
            monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(locked.parent / "config"))
            with pytest.raises(SlideError, match=r"cannot be stored: neither .* can be written"):
                remember_mpp(locked, 0.25)


def test_answer_beside_the_slide_ends_an_older_one_of_the_user(plain, own_folder):
    remember_mpp(plain, 0.25)
    own_folder.mkdir()
    user_table().write_text(f"slide,mpp,size_bytes\n{plain},0.4,{plain.stat().st_size}\n")
    assert recall_mpp(plain).mpp == 0.4
    remember_mpp(plain, 0.5)
    assert recall_mpp(plain).mpp == 0.5


def test_many_processes_lose_no_line(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from napari_dre_slcl.slide.mpp_table import remember_mpp\n"
        "folder, who = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
        "for number in range(15):\n"
        "    slide = folder / f'{who}-{number}.tif'\n"
        "    slide.write_bytes(bytes(number + 1))\n"
        "    remember_mpp(slide, 0.25)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), who]) for who in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    table = lines(tmp_path / TABLE_NAME)
    assert sorted(table[1:]) == sorted(
        f"{who}-{number}.tif,0.25,{number + 1}" for who in "abc" for number in range(15)
    )
    assert not list(tmp_path.glob("*.part"))


def test_table_can_be_read_by_others(plain):
    mode = stat.S_IMODE(remember_mpp(plain, 0.5).stat().st_mode)
    assert mode & 0o444 == 0o444


def test_copy_in_another_process_keeps_the_answer_of_its_original(plain):
    remember_mpp(plain, 0.5)
    with open_slide(plain) as slide:
        forget_mpp(plain)
        with pickle.loads(pickle.dumps(slide)) as copy:
            assert copy.info == slide.info
