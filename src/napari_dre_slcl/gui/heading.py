"""A bold line above a part of a panel."""

from __future__ import annotations

from napari_dre_slcl.gui.plain_label import PlainLabel

__all__ = ["heading"]


def heading(text: str) -> PlainLabel:
    """Return a label in bold type."""
    label = PlainLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
