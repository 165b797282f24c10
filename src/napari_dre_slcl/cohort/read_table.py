"""A table of any usual format as rows of text: CSV, TSV, semicolons, Excel or Parquet.

Knows cells and row numbers, not what the columns mean. The content decides the format, not the
name of the file.
"""

from __future__ import annotations

from pathlib import Path

from napari_dre_slcl.cohort.delimited_text import read_delimited
from napari_dre_slcl.cohort.parquet_table import read_parquet
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.cohort.workbook import read_workbook
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.trial.kinds import PARQUET, WORKBOOK
from napari_dre_slcl.trial.proof import prove_file
from napari_dre_slcl.untrusted import UntrustedError, read_bytes

__all__ = ["read_table"]

_WORKBOOK, _OLD_WORKBOOK, _PARQUET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 4096
# A million slides with reports of a thousand letters.
_MOST_BYTES = 2**30


def read_table(table: Path, findings: Findings) -> list[list[str]]:
    """Return the cells of a table; the list at place i is row i + 1 of a spreadsheet.

    Parameters
    ----------
    table : Path
        The file.
    findings : Findings
        Is told what is wrong with single rows and cells.

    Raises
    ------
    CohortError
        If there is no such file, it is no table at all, or it did harm in a trial.
    """
    if table.exists() and not table.is_file() and not table.is_dir():
        raise CohortError(f"The cohort table '{table}' is no file but a pipe or a device.")
    try:
        with table.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if head.startswith(_WORKBOOK):
            prove_file(table, WORKBOOK)
            return read_workbook(table, findings)
        if head.startswith(_PARQUET):
            prove_file(table, PARQUET)
            return read_parquet(table, findings)
        if head.startswith(_OLD_WORKBOOK):
            raise CohortError(
                f"The cohort table '{table}' is an Excel workbook of the old kind (.xls), or has a "
                "password. Save it as .xlsx without a password, or as CSV UTF-8."
            )
        if b"\0" in head and not head.startswith(_UTF_16):
            raise CohortError(
                f"The cohort table '{table}' is not a CSV, TSV, Excel (.xlsx) or Parquet file. "
                "Give a table with one row per slide."
            )
        return read_delimited(read_bytes(table, _MOST_BYTES), findings)
    except UntrustedError as error:
        raise CohortError(
            f"The cohort table '{table}' is not read: {error}. Give a table with one row per slide."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CohortError(f"The cohort table '{table}' cannot be read: {reason}.") from error
