"""Tables that spread out or unpack without end: workbooks, Parquet and text."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from torture.strangers.corpus.sample import Makers, copied

__all__ = ["MAKERS"]


def _workbook(folder: Path, honest: Path, change: tuple[str, bytes, bytes]) -> Path:
    target = folder / honest.name
    part, before, after = change
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            content = old.read(one)
            new.writestr(one, content.replace(before, after) if part in one else content)
    return target


def _workbook_merged_without_end(folder: Path, honest: Path) -> Path:
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    return _workbook(folder, honest, ("sheet1.xml", b"</sheetData>", merged))


def _workbook_with_a_far_cell(folder: Path, honest: Path) -> Path:
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    return _workbook(folder, honest, ("sheet1.xml", b"</sheetData>", far))


def _workbook_with_a_wide_link(folder: Path, honest: Path) -> Path:
    link = b'</sheetData><hyperlinks><hyperlink ref="A1:XFD1048576" location="x"/></hyperlinks>'
    return _workbook(folder, honest, ("sheet1.xml", b"</sheetData>", link))


def _workbook_that_is_a_bomb(folder: Path, honest: Path) -> Path:
    long = b"<sheetData>" + b" " * 2**27
    return _workbook(folder, honest, ("sheet1.xml", b"<sheetData>", long))


def _workbook_of_a_billion_laughs(folder: Path, honest: Path) -> Path:
    entities = [b'<!ENTITY l0 "lol">']
    entities += [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">'.encode() for n in range(1, 10)]
    laughs = b"<!DOCTYPE worksheet [" + b"".join(entities) + b"]><worksheet"
    target = _workbook(folder, honest, ("sheet1.xml", b"<worksheet", laughs))
    return target


def _table_of_very_many_rows(folder: Path, honest: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    run = pa.DictionaryArray.from_arrays(np.zeros(11_000_000, np.int8), pa.array(["P1"]))
    parquet.write_table(pa.table({"patient_id": run}), folder / honest.name)
    return folder / honest.name


def _table_that_is_a_bomb(folder: Path, honest: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"slide_id": ["a" * 2**20] * 100, "patient_id": ["P"] * 100})
    parquet.write_table(table, folder / honest.name, compression="zstd", use_dictionary=False)
    return folder / honest.name


def _table_of_a_date_beyond_calendars(folder: Path, honest: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    dates = pa.array([2**31 - 1], pa.date32())
    parquet.write_table(pa.table({"slide_id": dates}), folder / honest.name)
    return folder / honest.name


def _table_of_a_page_that_claims_memory(folder: Path, honest: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    # A page begins with its kind, its length, and how long it is as it is packed.
    path = folder / honest.name
    parquet.write_table(pa.table({"slide_id": ["a" * 100] * 100}), path, use_dictionary=False)
    content = path.read_bytes()
    packed = bytes([content[11] - 4, content[12]])  # two bytes shorter, since the length is longer
    path.write_bytes(content[:7] + b"\xfe\xff\xff\xff\x0f\x15" + packed + content[13:])
    return path


def _codes_of_very_many_lists(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    content = bytearray((target / "fitted.faiss").read_bytes())
    content[37:45] = (2**40).to_bytes(8, "little")
    (target / "fitted.faiss").write_bytes(content)
    return target


def _codes_cut_short(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.glob("*.ivf"):
        path.write_bytes(path.read_bytes()[:-100])
    return target


def _table_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    with target.open("r+b") as stream:
        stream.seek(0, 2)
        stream.write(b"," * 10_000)
        stream.truncate(8 * 2**30)
    return target


MAKERS: Makers = (
    ("cohort xlsx", _workbook_merged_without_end),
    ("cohort xlsx", _workbook_with_a_far_cell),
    ("cohort xlsx", _workbook_with_a_wide_link),
    ("cohort xlsx", _workbook_that_is_a_bomb),
    ("cohort xlsx", _workbook_of_a_billion_laughs),
    ("cohort parquet", _table_of_very_many_rows),
    ("cohort parquet", _table_that_is_a_bomb),
    ("cohort parquet", _table_of_a_date_beyond_calendars),
    ("cohort parquet", _table_of_a_page_that_claims_memory),
    ("codes of tiles", _codes_of_very_many_lists),
    ("codes of tiles", _codes_cut_short),
    ("cohort csv", _table_without_end),
    ("split file", _table_without_end),
)
