"""Where sentences go: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from rich.console import Console
from rich.text import Text

from napari_dre_slcl.plain_text import visible, visible_json

__all__ = ["lines", "output", "print_json", "say", "say_error", "status"]

_WIDTH_OF_FILES = 160


class _PlainConsole(Console):
    """A console on which the words of strangers are words.

    All text that it is given, in sentences and in cells of tables, comes through here; names of
    slides and reasons of libraries may hold orders to the terminal. Lines and columns of our own
    are made by `lines`.
    """

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(visible(text), **style)


@cache
def output() -> Console:
    """Return the console of standard output, for what the user asked for."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return _PlainConsole(highlight=False, markup=False, emoji=False, width=width)


@cache
def status() -> Console:
    """Return the console of standard error, for progress, notes and errors."""
    return _PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)


def lines(texts: Iterable[str], between: str = "\n") -> Text:
    """Return texts one below the other, for a cell or a sentence; each shown as it stands."""
    return Text(between.join(map(visible, texts)))


def say(sentence: str | Text) -> None:
    """Print a sentence to standard output, unwrapped."""
    output().print(sentence, soft_wrap=True)


def say_error(sentence: str) -> None:
    """Print a sentence to standard error, unwrapped."""
    status().print(f"Error: {sentence}", soft_wrap=True, style="bold red")


def print_json(text: str) -> None:
    """Print JSON to standard output as one line, of which nothing acts on a terminal."""
    output().out(visible_json(text), highlight=False)
    output().file.flush()
