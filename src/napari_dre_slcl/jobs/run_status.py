"""Where the job of a run folder stands, and how to ask something of it from outside.

Reads what the engine has written; a run whose process is gone is told from one under way.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.requests import CANCEL_FILE, PAUSE_FILE

__all__ = ["RunStatus", "Wish", "ask_run", "read_status"]

State = Literal["running", "paused", "finished", "failed", "cancelled", "lost", "unknown"]
Wish = Literal["pause", "continue", "cancel"]

_STATES = ("running", "paused", "finished", "failed", "cancelled")
_LOCK = ".lock"
# Between letting go of the lock and writing the last status; long on a machine that is overloaded.
_CLOSING_S = 1.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What ``status.json`` says, checked against the process.

    Parameters
    ----------
    state : str
        ``running``, ``paused``, ``finished``, ``failed``, ``cancelled``, ``lost`` where the process
        has gone without a word, or ``unknown`` where nothing can be read.
    started, finished : datetime or None
        Of the last process on the folder.
    message : str
        The last sentence.
    is_resumable : bool
        Whether `ResumeJob` can go on with it.
    host : str
        The machine it runs on; empty where unknown.
    """

    state: State
    started: datetime | None = None
    finished: datetime | None = None
    message: str = ""
    is_resumable: bool = False
    host: str = ""

    @property
    def is_active(self) -> bool:
        """Whether a process works on it, or holds still."""
        return self.state in ("running", "paused")


def read_status(run_dir: Path) -> RunStatus:
    """Return where the job of a run folder stands; never raises."""
    facts = _read(run_dir)
    if facts.get("state") in ("running", "paused") and _is_left_alone(run_dir, facts):
        again = _read(run_dir)
        if again.get("state") == facts["state"]:
            facts = again | {"state": "lost", "is_resumable": _has_begun(run_dir)}
        else:
            facts = again
    state = facts.get("state")
    return RunStatus(
        state=state if state in (*_STATES, "lost") else "unknown",
        started=_time(facts.get("started")),
        finished=_time(facts.get("finished")),
        message=str(facts.get("message") or ""),
        is_resumable=bool(facts.get("is_resumable")),
        host=str(facts.get("host") or ""),
    )


def ask_run(run_dir: Path, wish: Wish) -> None:
    """Ask the job of a run folder to hold still, to go on, or to end.

    Parameters
    ----------
    run_dir : Path
        The run folder, whichever process works on it.
    wish : {"pause", "continue", "cancel"}
        What is wanted; the job does so after the step at hand.

    Raises
    ------
    JobError
        If the folder cannot be written.
    """
    try:
        if wish == "pause":
            (run_dir / PAUSE_FILE).touch()
        elif wish == "continue":
            (run_dir / PAUSE_FILE).unlink(missing_ok=True)
        else:
            (run_dir / CANCEL_FILE).touch()
    except OSError as error:
        raise JobError(
            f"The run folder '{run_dir}' cannot be written: {error.strerror}. The run cannot be "
            "told anything from here."
        ) from error


def _read(run_dir: Path) -> dict[str, Any]:
    try:
        facts = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _is_left_alone(run_dir: Path, facts: dict[str, Any]) -> bool:
    """Whether no process works on a folder whose status says that one does."""
    if facts.get("host", platform.node()) != platform.node():
        return False  # its processes cannot be seen from here
    if _is_locked(run_dir):
        return False
    if _is_alive(facts.get("pid")):
        time.sleep(_CLOSING_S)  # it may be about to write how it has ended
    return True


def _is_locked(run_dir: Path) -> bool:
    """Whether a process holds the folder's lock; a file that is not there is held by none."""
    path = run_dir / _LOCK
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, blocking=False):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return True  # a folder of somebody else: believe what is written


def _is_alive(pid: Any) -> bool:
    """Whether there is a process of this number; asking is not without effect on Windows."""
    if not isinstance(pid, int) or sys.platform == "win32":
        return True
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def _has_begun(run_dir: Path) -> bool:
    return (run_dir / "config.toml").is_file()


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
