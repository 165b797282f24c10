"""Parquet tables as rows of text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from napari_dre_slcl.cohort.cell_text import cell_text
from napari_dre_slcl.cohort.plain_parquet import plain_values, read_plain_parquet
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import UntrustedError

__all__ = ["read_parquet"]


def read_parquet(table: Path, findings: Findings) -> list[list[str]]:
    """Return the cells of a Parquet file, names of the columns first.

    Parameters
    ----------
    table : Path
        The file.
    findings : Findings
        Is told of columns that hold lists or the like.

    Raises
    ------
    CohortError
        If the file is damaged, or pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise CohortError(
            f"The cohort table '{table}' is a Parquet file, and reading it needs pyarrow. Run: "
            "pip install 'napari-dre-slcl[tables]', or save the table as CSV."
        ) from error
    try:
        content = read_plain_parquet(table)
        return _rows(content, findings)
    except UntrustedError as error:
        raise CohortError(
            f"The Parquet file '{table}' is not read: {error}. Give a table with one row per slide."
        ) from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise CohortError(
            f"The Parquet file '{table}' cannot be read: it is damaged. Write it again."
        ) from error


def _rows(content: Any, findings: Findings) -> list[list[str]]:
    import pyarrow

    columns: list[list[str]] = []
    for name in content.column_names:
        if pyarrow.types.is_nested(content.schema.field(name).type):
            findings.refuse(f"the column '{name}' holds lists; keep one value a cell", (), name)
            columns.append([name] + [""] * content.num_rows)
        else:
            values = plain_values(content.column(name))
            # An index that nobody named is pandas' own numbering of the rows.
            if not name.startswith("__index_level_"):
                columns.append([name, *(_text(value) for value in values)])
    return [list(row) for row in zip(*columns, strict=True)]


def _text(value: object) -> str:
    is_gap = isinstance(value, float) and math.isnan(value)
    return "" if value is None or is_gap else cell_text(value)
