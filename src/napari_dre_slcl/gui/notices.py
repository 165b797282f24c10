"""Notifications of napari, whose label takes a text that begins like a tag for HTML."""

from __future__ import annotations

from napari.utils import notifications

from napari_dre_slcl.plain_text import untagged, visible

__all__ = ["show_error", "show_warning"]


def show_error(sentence: str) -> None:
    """Show an error; napari also prints it to the terminal."""
    notifications.show_error(_plain(sentence))


def show_warning(sentence: str) -> None:
    """Show a warning; napari also prints it to the terminal."""
    notifications.show_warning(_plain(sentence))


def _plain(sentence: str) -> str:
    return untagged(visible(sentence))
