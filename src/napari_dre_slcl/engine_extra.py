"""Says what to install where the engine's libraries are left out, as for a viewer alone.

Knows their names, and imports none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from napari_dre_slcl.errors import EngineMissingError

__all__ = [
    "COMMAND",
    "LIBRARIES",
    "engine_needed",
    "missing_engine",
    "missing_sentence",
    "require_engine",
]

LIBRARIES = ("torch", "timm", "safetensors", "lightning_fabric")
"""Modules that the extra ``engine`` installs."""

COMMAND = 'pip install "napari-dre-slcl[engine]"'
"""What installs them."""


def missing_engine() -> str | None:
    """Return the first module of `LIBRARIES` that is not installed; None where all are."""
    return next((name for name in LIBRARIES if find_spec(name) is None), None)


def missing_sentence(name: str) -> str:
    """Return what to tell a user who asks for more than a viewer does.

    Parameters
    ----------
    name : str
        Module that is not there.
    """
    return f"Training and prediction need '{name}', which is not installed: {COMMAND} adds it."


def require_engine() -> None:
    """Complain before long work whose later parts need the engine.

    Raises
    ------
    EngineMissingError
        If one of `LIBRARIES` is not installed.
    """
    if (absent := missing_engine()) is not None:
        raise EngineMissingError(missing_sentence(absent))


@contextmanager
def engine_needed() -> Iterator[None]:
    """Turn a missing library of the engine into a sentence, for the length of a block.

    Raises
    ------
    EngineMissingError
        In the place of the ModuleNotFoundError of one of `LIBRARIES`. Others stay as they are.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in LIBRARIES:
            raise
        raise EngineMissingError(missing_sentence(name)) from error
