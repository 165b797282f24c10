"""Tooltips of words that may be a stranger's."""

from __future__ import annotations

import html

from napari_dre_slcl.plain_text import visible

__all__ = ["tool_tip"]


def tool_tip(text: str) -> str:
    """Return what Qt shows as ``text`` stands, letter by letter, line by line.

    A tooltip and the text of a `QMessageBox` may not be told to be plain, and Qt takes them for
    HTML where they begin like a tag.
    """
    plain = visible(text, keep="\n\t")
    if "<" not in plain and "&" not in plain:
        return plain
    return f'<p style="white-space:pre">{html.escape(plain)}</p>'
