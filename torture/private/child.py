"""Runs commands of the program one after the other in one process; started by `commands`.

``python -m torture.private.child PLAN.json``: what each command prints goes to a file of its own.
The program is read once, which takes longer than most commands on a few small slides.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

from torture.private.onlookers import watched


def main() -> int:
    """Run what the plan lists, and write down how each command ended."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    codes = [_run(command) for command in plan["commands"]]
    Path(plan["codes"]).write_text(json.dumps(codes), encoding="utf-8")
    return 0


def _run(command: dict[str, Any]) -> int:
    from napari_dre_slcl.cli import main as run_program

    _move_in(command["home"])
    if command["crash"]:
        _break_training(command["crash"])
    arguments = [one for text in command["arguments"] for one in _expanded(text)]
    said = Path(command["said"])
    with _printing_to(said), watched(said.with_suffix(".seen")):
        try:
            return run_program(arguments)
        except Exception:  # noqa: BLE001 - as the interpreter itself would: the program's own hook
            sys.excepthook(*sys.exc_info())
            return 1


def _move_in(home: str) -> None:
    """Have the user's own folders and temporary files below another folder."""
    os.environ["DRE_SLCL_CONFIG_DIR"] = str(Path(home) / "config")
    os.environ["TMPDIR"] = tempfile.tempdir = str(Path(home) / "tmp")
    Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)


def _expanded(text: str) -> list[str]:
    """Return the first files that a pattern stands for, so that results need not be known yet."""
    return sorted(glob(text))[:3] if "*" in text else [text]


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(stream) for stream in (1, 2)]
    with path.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, own in zip((1, 2), kept, strict=True):
                os.dup2(own, stream)
                os.close(own)


def _break_training(text: str) -> None:
    """Let torch fail as a library does that meets a patient's name where a number belongs."""
    from torch.optim import AdamW

    def fail(*_arguments: object, **_options: object) -> None:
        raise ValueError(f"could not convert string to float: '{text}'")

    AdamW.__init__ = fail  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
