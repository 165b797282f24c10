"""A hook of MkDocs: no page may fetch a script, style, font or picture from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|embed)\b[^>]*?\ssrc=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon))"""
    r"""[^>]*?\shref=["']?(?:https?:)?//[^"'\s>]+""",
    re.IGNORECASE,
)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that fetches something from elsewhere.

    Parameters
    ----------
    output : str
        The page as HTML.
    page : mkdocs.structure.pages.Page

    Returns
    -------
    str
        The page as it was.

    Raises
    ------
    PluginError
        Something would be fetched; the message names it.
    """
    found = _FETCHED.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} fetches from elsewhere: {found[0]}")
    return output
