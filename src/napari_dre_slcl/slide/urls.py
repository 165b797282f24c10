"""Which paths are URLs, and how they are named; asks no server.

A URL may stand wherever a path does: ``Path("s3://bucket/a.svs")``. The two slashes that `Path`
makes one are given back here. ``file:`` URLs are plain paths.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["is_remote", "located", "remote_name", "shown", "url_of"]

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE | re.DOTALL)


def is_remote(path: str | Path) -> bool:
    """Whether a path is a URL of another machine; a drive letter is none."""
    found = _URL.fullmatch(_text(path))
    return found is not None and found[1].lower() not in ("file", "local")


def located(path: str | Path, folder: Path | None = None) -> Path:
    """Return where a file is: a URL as it is, else an absolute path.

    Parameters
    ----------
    path : str or Path
        As a user gave it; relative to ``folder``, else to the working folder.
    folder : Path, optional
        May itself be a URL.
    """
    if is_remote(path):
        return Path(path)
    found = _URL.fullmatch(_text(path))
    if found is not None:  # file:///data/a.svs
        return Path("/" + unquote(found[2]) if os.name != "nt" else unquote(found[2]))
    if folder is not None:
        path = folder / path
    return Path(path) if is_remote(path) else Path(os.path.abspath(path))


def remote_name(path: str | Path) -> str:
    """Return the file name in a URL, without what a signed one has behind it."""
    return _text(path).partition("?")[0].rstrip("/").rpartition("/")[2]


def shown(path: str | Path) -> str:
    """Return a path as it is, a URL as it may be shown and kept: without password or signature."""
    if not is_remote(path):
        return str(path)
    url = urlsplit(url_of(path))
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def url_of(path: str | Path) -> str:
    """Return the URL that a path stands for; `is_remote` says whether it does."""
    found = _URL.fullmatch(_text(path))
    assert found is not None  # callers ask is_remote first
    return f"{found[1].lower()}://{found[2]}"


def _text(path: str | Path) -> str:
    return path.as_posix() if isinstance(path, Path) else path
