"""Asks a question in a process of its own, where a crash of a native library ends only that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "ask"]

_LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child process said, or why it said nothing.

    Parameters
    ----------
    facts : dict
        What it found out; empty where it failed.
    failure : str
        Why there are no facts, without a full stop; empty where there are.
    told : str
        All that it wrote to standard error.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    told: str = ""


def ask(
    module: str,
    *arguments: str,
    screen: Sequence[str] = (),
    changes: Mapping[str, str] | None = None,
    limit_s: float = _LIMIT_S,
) -> Answer:
    """Run a module that prints one JSON object as its last line.

    Parameters
    ----------
    module : str
        Its full name.
    *arguments : str
        Its arguments.
    screen : sequence of str
        A command to run it under, such as that of a virtual screen.
    changes : mapping, optional
        Changes of the environment.
    limit_s : float
        Seconds after which it is ended.
    """
    # -P: a file of the working folder that is named like a package is not taken for it.
    command = [*screen, sys.executable, "-P", "-m", module, *arguments]
    try:
        done = subprocess.run(
            command,
            env=os.environ | dict(changes or {}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(failure=f"no answer came within {limit_s:.0f} s")
    except OSError as error:
        return Answer(failure=f"no process could be started ({error.strerror})")
    if done.returncode != 0:
        return Answer(failure=_why(done.returncode, done.stderr), told=done.stderr)
    return _parsed(done.stdout, done.stderr)


def _parsed(said: str, told: str) -> Answer:
    try:
        facts = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return Answer(failure="its answer could not be read", told=told)
    return Answer(facts=facts, told=told)


def _why(code: int, told: str) -> str:
    if code < 0:
        return f"the process was ended by {_signal_name(-code)}"
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else f"the process ended with code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
