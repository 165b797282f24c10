"""JSON and TOML from strangers: bounded in length, and depth is refused in words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from napari_dre_slcl.untrusted.bounds import UntrustedError, read_bytes

__all__ = ["MOST_TEXT", "parse_json", "parse_toml", "read_json", "read_toml"]

MOST_TEXT = 64 * 2**20
"""Bytes of a text file; a header of a model has some thousand."""

_TOO_DEEP = "it is nested too deep"
# Keys such as a.b.c cost their square; our own settings have two parts.
_MOST_DOTS = 100


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    text : str or bytes
        Of a stranger.

    Raises
    ------
    ValueError
        If it is none, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UntrustedError(_TOO_DEEP) from error


def read_json(path: Path, most: int = MOST_TEXT) -> Any:
    """Return what a JSON file says.

    Parameters
    ----------
    path : Path
        The file.
    most : int
        Bytes.

    Raises
    ------
    ValueError
        If it is none, too long, or nested too deep.
    OSError
        If it cannot be read.
    """
    return parse_json(read_bytes(path, most))


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says.

    Parameters
    ----------
    text : str
        Of a stranger.

    Raises
    ------
    ValueError
        If it is none, or nested too deep.
    """
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines() if "." in line):
        keys = (line.partition("=")[0] for line in text.splitlines())
        if any(key.count(".") > _MOST_DOTS for key in keys):
            raise UntrustedError(_TOO_DEEP)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UntrustedError(_TOO_DEEP) from error


def read_toml(path: Path, most: int = MOST_TEXT // 16) -> dict[str, Any]:
    """Return what a TOML file says; raises as `read_json`.

    Parameters
    ----------
    path : Path
        The file.
    most : int
        Bytes.
    """
    return parse_toml(read_bytes(path, most).decode("utf-8"))
