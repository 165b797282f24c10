"""Text in tables that a spreadsheet must not compute: marked when written, unmarked when read.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end is a formula to spreadsheets
(OWASP, CSV Injection). An apostrophe before it makes it text.
"""

from __future__ import annotations

import re

__all__ = ["defuse", "restore"]

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_MARKED = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Python's csv module quotes cells with a line feed, not those with a carriage return alone, at
# which every reader begins another row.
_LONE_RETURN = re.compile(r"\r(?!\n)")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)|[+-]+")


def defuse(text: str) -> str:
    """Return a cell that no spreadsheet computes and that stays one cell; numbers stay as they are.

    Parameters
    ----------
    text : str
        Any text, such as a slide_id.
    """
    text = _LONE_RETURN.sub("\n", text)
    if not _FORMULA.match(text) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def restore(text: str) -> str:
    """Return what `defuse` was given; a carriage return alone is a line feed by then.

    Parameters
    ----------
    text : str
        As `defuse` returned it.
    """
    return text[1:] if _MARKED.match(text) and not _NUMBER.fullmatch(text) else text
