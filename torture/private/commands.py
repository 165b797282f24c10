"""Runs the program's commands in a process of their own, cut off from the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "Place", "calls_in", "run_commands", "sealed_environment"]

_SEALED = Path(__file__).with_name("sealed")
_ROOT = Path(__file__).parents[2]
_LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one pass, none of which is called by anything that was sown.

    Parameters
    ----------
    root : Path
        All is below it.
    """

    root: Path

    @property
    def made(self) -> Path:
        """What leaves the machine."""
        return self.root / "made"

    @property
    def said(self) -> Path:
        """What was printed."""
        return self.root / "said"

    @property
    def home(self) -> Path:
        """The user's own folders, and temporary files."""
        return self.root / "home"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of ``dre-slcl``.

    Parameters
    ----------
    place : Place
        Where it works.
    name : str
        For the file of what it prints.
    arguments : tuple of str
        With ``*`` for files that commands before it make.
    codes : tuple of int
        With which it may end.
    crash : str
        It shall fail with an error that nobody foresaw, which quotes this; and all after it.
    is_loud : bool
        It is there to show the user's own names on the terminal.
    """

    place: Place
    name: str
    arguments: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    crash: str = ""
    is_loud: bool = False

    @property
    def said(self) -> Path:
        """Folder for what it prints; that of loud ones is not looked through."""
        return self.place.root / "said-aloud" if self.is_loud else self.place.said


def run_commands(commands: Sequence[Command], home: Path) -> list[str]:
    """Run commands one after the other in one process.

    Parameters
    ----------
    commands : sequence of Command
        In their order.
    home : Path
        Of the process; connections that are tried are written down in it.

    Returns
    -------
    list of str
        Those that ended otherwise than they may.

    Raises
    ------
    subprocess.SubprocessError
        If the process itself fails.
    """
    environment = sealed_environment(home)
    plan = {"codes": str(home / "codes.json"), "commands": list(_listed(commands))}
    path = home / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "torture.private.child", str(path)],
        env=environment,
        check=True,
        timeout=_LIMIT_S,
        cwd=home,
    )
    codes = json.loads((home / "codes.json").read_text(encoding="utf-8"))
    return [
        f"{command.place.root.name}/{command.name} ended with {code}"
        for command, code in zip(commands, codes, strict=True)
        if code not in command.codes
    ]


def _listed(commands: Iterable[Command]) -> Iterable[dict[str, object]]:
    for number, command in enumerate(commands):
        yield {
            "home": str(command.place.home),
            "arguments": command.arguments,
            "said": str(command.said / f"{number:02}-{command.name}.txt"),
            "crash": command.crash,
        }


def sealed_environment(home: Path) -> dict[str, str]:
    """Return an environment without network, whose user's own folders are below ``home``."""
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    paths = [str(_SEALED), str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TORTURE_CALLS": str(home / "calls.txt"),
        "DRE_SLCL_CONFIG_DIR": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TMPDIR": str(home / "tmp"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "400",
    }


def calls_in(home: Path) -> tuple[str, ...]:
    """Return the connections that were tried so far."""
    file = home / "calls.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
