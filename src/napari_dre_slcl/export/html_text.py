"""Words of others in pages and drawings: no markup, no signs that turn or hide the writing."""

from __future__ import annotations

import html

from napari_dre_slcl.plain_text import visible

__all__ = ["escape"]


def escape(text: str) -> str:
    """Return text for an element or an attribute of HTML or SVG."""
    return html.escape(visible(text, keep="\n\t"))
