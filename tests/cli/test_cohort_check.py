"""``dre-slcl cohort``: the summary, every problem, and a table from TCGA barcodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main

HEADER = "slide_id,patient_id,site,subtype,TP53,report,age\n"
ROWS = "".join(
    f"s{n},P{n // 2},{'AB'[n // 6]},{('LUAD', 'LUSC')[n % 2]},{'' if n == 5 else n % 3 // 2},"
    f"{'text' if n < 4 else ''},{40 + n}\n"
    for n in range(12)
)


def _features(folder: Path, n: int = 12) -> Path:
    (folder / "features").mkdir()
    for number in range(n):
        (folder / "features" / f"s{number}.h5").touch()
    return folder / "features"


def test_a_sound_table_is_summed_up_by_label_patient_and_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "a.csv"
    table.write_text(HEADER + ROWS)
    assert main(["cohort", "check", str(table), "--features", str(_features(tmp_path))]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (
        "Slides: 12 (12 no file), 4 with a report",
        "Patients: 6 (slides each: 6 with 2)",
        "Sites: 2",
        "Other columns: age (12 values)",
        "subtype LUAD 6 6 subtype LUSC 6 6",
        "TP53 (empty) 1",
        "A 6 3 4 LUAD 3, LUSC 3",
        f"0 problems, 0 warnings: '{table}' can be used.",
    ):
        assert words in shown


def test_all_problems_are_printed_and_the_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "a.csv"
    table.write_text(HEADER + ROWS.replace("s3,P1,A,LUSC", "s3,P1,B,lusc"))
    options = [str(table), "--features", str(_features(tmp_path, 1))]
    assert main(["cohort", "check", *options]) == 2
    shown = capsys.readouterr().out
    assert shown.count("Problem: ") == 13
    assert "Problem: rows 4-5: patient 'P1' is in more than one site" in shown
    assert "Problem: row 5: 'lusc' in the column 'subtype' is 'LUSC' in other rows" in shown
    assert "has no feature file 's11.h5'" in shown
    assert "13 problems, 0 warnings" in shown
    assert main(["cohort", "check", *options, "--json"]) == 2
    record = json.loads(capsys.readouterr().out)
    assert len(record["problems"]) == 13
    assert [problem["rows"] for problem in record["problems"]][:2] == [[3], [4, 5]]
    assert record["summary"]["n_patients"] == 6
    assert record["summary"]["sites"][0]["labels"]["subtype"] == {
        "LUAD": 3,
        "LUSC": 3,
        "lusc": 1,
    }


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\xff", b"just,words\n"])
def test_tables_that_hold_nothing_end_with_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(content)
    assert main(["cohort", "check", str(table)]) == 2
    shown = capsys.readouterr().out
    assert "Problem: " in shown
    assert f"'{table}' cannot be used as it is." in shown


def test_a_missing_table_and_a_missing_folder_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cohort", "check", str(tmp_path / "no.csv")]) == 2
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "a.csv").write_text(HEADER + ROWS)
    assert main(["cohort", "check", str(tmp_path / "a.csv"), "--features", "/nowhere"]) == 2
    assert "the folder of feature files '/nowhere' does not exist" in capsys.readouterr().out


def test_a_table_from_barcodes_can_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = tmp_path / "features"
    features.mkdir()
    for code in ("05", "NJ"):
        (features / f"TCGA-{code}-4245-01Z-00-DX1.h5").touch()
    table = tmp_path / "cohort.csv"
    assert main(["cohort", "tcga", str(features), "--out", str(table)]) == 0
    assert "Wrote 2 slides of 2 patients from 2 sites" in capsys.readouterr().out
    assert main(["cohort", "check", str(table)]) == 0
    assert "2 feature files" in capsys.readouterr().out
    assert main(["cohort", "tcga", str(features), "--out", str(table)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_open_looks_into_the_feature_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "a.csv"
    table.write_text(HEADER + ROWS)
    options = ["cohort", "check", str(table), "--features", str(_features(tmp_path))]
    assert main(options) == 0
    assert main([*options, "--open"]) == 2
    assert "12 problems" in capsys.readouterr().out  # the files are empty


def test_a_folder_becomes_a_table_that_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.svs").touch()
    command = ["cohort", "from-folder", str(tmp_path / "in"), "--out", str(tmp_path / "t.csv")]
    assert main([*command, "--patients", "slide"]) == 0
    assert "Wrote 1 slides" in capsys.readouterr().out
    assert (tmp_path / "t.csv").read_text() == "slide_id,slide,patient_id\none,in/one.svs,one\n"
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_slides_that_are_broken_are_named_where_that_is_asked_for(
    make_slide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        make_slide(tmp_path / f"{name}.tif")
    (tmp_path / "b.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:600])
    (tmp_path / "c.tif").write_text("<html>")
    table = tmp_path / "cohort.csv"
    table.write_text("slide,patient_id,grade\na.tif,P1,low\nb.tif,P2,high\nc.tif,P3,high\n")
    assert main(["cohort", "check", str(table)]) == 0
    assert main(["cohort", "check", str(table), "--open", "--json"]) == 2
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    (problem,), (warning,) = record["problems"], record["warnings"]
    assert (problem["rows"], problem["is_absent"]) == ([4], True)
    assert problem["what"].startswith("Slide 'c.tif'")
    assert warning["rows"] == [3]
    assert "is cut off" in warning["what"]
