from __future__ import annotations

import csv
import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.cohort.private_names import known_names, names_table
from napari_dre_slcl.cohort.private_slides import link_slide
from napari_dre_slcl.cohort.private_table import (
    private_features,
    private_files,
    private_splits,
    private_table,
)
from napari_dre_slcl.cohort.pseudonyms import (
    Pseudonyms,
    is_pseudonym,
    load_pseudonyms,
    numbered_patients,
    private_folder,
)
from napari_dre_slcl.cohort.shared_labels import shared_labels
from napari_dre_slcl.errors import JobError

NAMES = Pseudonyms(bytes(32))
needs_posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "pseudonyms"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Six slides of four patients, with a column of names."""
    folder = tmp_path / "Muster"
    folder.mkdir()
    lines = ["slide,slide_id,patient_id,subtype,surname,report"]
    for number, patient in enumerate("AABBCD"):
        (folder / f"file{number}.svs").write_bytes(b"no slide")
        lines.append(
            f"Muster/file{number}.svs,S{number},P-{patient},{'xy'[number % 2]},Name{patient},dark"
        )
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_pseudonym_is_the_hmac_of_kind_and_name() -> None:
    digest = hmac.new(bytes(32), b"slide\0S1", hashlib.sha256).hexdigest()
    assert NAMES.slide("S1") == f"slide-{digest[:16]}"
    assert NAMES.patient("S1") != f"patient-{digest[:16]}"  # kinds do not tell of each other
    assert NAMES.slide(NAMES.slide("S1")) == NAMES.slide("S1")
    assert NAMES.patient("") == ""
    assert Pseudonyms(bytes(31) + b"\1").slide("S1") != NAMES.slide("S1")
    # One name in two forms of Unicode.
    assert NAMES.patient("M\u00fcller") == NAMES.patient("Mu\u0308ller")
    assert "key" not in repr(NAMES)


def test_the_key_is_made_once(own_folder: Path, tmp_path: Path) -> None:
    first = load_pseudonyms()
    assert load_pseudonyms() == first
    other = load_pseudonyms(tmp_path / "own.key")
    assert other != first
    assert load_pseudonyms(tmp_path / "own.key") == other


@needs_posix
def test_nobody_else_may_read_key_names_and_tables(own_folder: Path, table: Path) -> None:
    private = private_table(table, load_pseudonyms())
    for path in (own_folder / "key", names_table(), private):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_folder.stat().st_mode) == 0o700


@needs_posix
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "own.key"
    load_pseudonyms(key)
    key.chmod(0o644)
    with pytest.raises(JobError, match="chmod 600"):
        load_pseudonyms(key)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "own.key"
    key.write_text("secret")
    key.chmod(0o600)
    with pytest.raises(JobError, match="64 hexadecimal digits"):
        load_pseudonyms(key)


def test_a_private_table_is_read_like_the_users_own(table: Path, tmp_path: Path) -> None:
    private = private_table(table, NAMES)
    before, after = read_cohort(table), read_cohort(private)
    assert [row.slide_id for row in after.rows] == [NAMES.slide(r.slide_id) for r in before.rows]
    assert [row.patient_id for row in after.rows] == [
        NAMES.patient(row.patient_id) for row in before.rows
    ]
    assert [row.report for row in after.rows] == [row.report for row in before.rows]
    assert after.label_columns == ("subtype",)
    for old, new in zip(before.rows, after.rows, strict=True):
        assert old.path is not None
        assert new.path is not None
        assert new.path.name == f"{new.slide_id}.svs"
        assert "Muster" not in str(new.path)
        assert new.path.samefile(old.path)
    assert private_table(private, NAMES) == private
    changed = private.stat().st_mtime_ns
    assert private_table(table, NAMES) == private
    assert private.stat().st_mtime_ns == changed  # a run that goes on looks at its hash


def test_the_table_of_names_knows_who_is_who(table: Path) -> None:
    private_table(table, NAMES)
    known = {one.pseudonym: one for one in known_names()}
    assert known[NAMES.patient("P-A")].name == "P-A"
    assert known[NAMES.slide("S3")].file.endswith("Muster/file3.svs")
    assert len(known) == 10
    with names_table().open(encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream)) == ["pseudonym", "name", "file"]


def test_columns_that_tell_patients_apart_are_known(table: Path) -> None:
    cohort = read_cohort(table)
    assert shared_labels(cohort) == ("subtype",)
    assert shared_labels(cohort, {"surname"}) == ("subtype", "surname")


def test_slides_of_one_name_from_two_folders_stay_apart(tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "a.svs")
        paths[-1].write_bytes(name.encode())
    links = private_files(paths, NAMES)
    assert [link.read_bytes() for link in links] == [b"one", b"two"]
    assert len({link.name for link in links}) == 2
    assert all(is_pseudonym(link.stem) for link in links)


def test_a_folder_of_features_is_found_by_name_file_and_pseudonym(
    table: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    names = ("S0", "file1", NAMES.slide("S2"))
    for name in names:
        (folder / f"{name}.h5").write_bytes(name.encode())
    links = private_features(table, folder, NAMES)
    found = {path.stem: path.read_bytes().decode() for path in links.iterdir()}
    assert found == {NAMES.slide(f"S{n}"): name for n, name in enumerate(names)}


def test_split_files_are_translated(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "splits"
    folder.mkdir()
    (folder / "split_0.csv").write_text(
        "n,train,val,test\n0,S0,P-B,file4.svs\n1,S1,,Stranger\n", encoding="utf-8"
    )
    private = private_splits(table, folder, NAMES)
    with (private / "split_0.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["n", "train", "val", "test"],
        ["0", NAMES.slide("S0"), NAMES.patient("P-B"), NAMES.slide("S4")],
        ["1", NAMES.slide("S1"), "", NAMES.slide("Stranger")],
    ]


def test_a_slide_of_several_files_is_linked_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Slidedat.ini").write_text("of a MIRAX slide")
    (tmp_path / "a.mrxs").write_bytes(b"MIRAX")
    link = link_slide(tmp_path / "a.mrxs", "slide-x", private_folder())
    assert (link.with_suffix("") / "Slidedat.ini").read_text() == "of a MIRAX slide"
    assert link.name == "slide-x.mrxs"


def test_an_ending_that_is_none_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "slide.Smith"
    path.write_bytes(b"x")
    assert link_slide(path, "slide-x", private_folder()).name == "slide-x"


def test_slides_on_a_server_are_refused() -> None:
    with pytest.raises(JobError, match="server"):
        link_slide(Path("s3://bucket/a.svs"), "slide-x", private_folder())


def test_patients_are_numbered_in_the_tables_order() -> None:
    pseudonym = NAMES.patient("x")
    numbered = numbered_patients(["b", "a", "b", "", pseudonym])
    assert numbered == ["patient-0001", "patient-0002", "patient-0001", "", pseudonym]
