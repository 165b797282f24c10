"""Where sentences go: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from functools import cache

from rich.console import Console

__all__ = ["output", "say", "say_error", "status"]

_WIDTH_OF_FILES = 160


@cache
def output() -> Console:
    """Return the console of standard output, for what the user asked for."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(highlight=False, markup=False, emoji=False, width=width)


@cache
def status() -> Console:
    """Return the console of standard error, for progress, notes and errors."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(sentence: str) -> None:
    """Print a sentence to standard output, unwrapped."""
    output().print(sentence, soft_wrap=True)


def say_error(sentence: str) -> None:
    """Print a sentence to standard error, unwrapped."""
    status().print(f"Error: {sentence}", soft_wrap=True, style="bold red")
