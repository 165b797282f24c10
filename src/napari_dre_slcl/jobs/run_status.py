"""Where the job of a run folder stands, and how to ask something of it from outside.

Reads what the engine has written; a run whose process is gone is told from one under way.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from napari_dre_slcl.atomic_file import set_mark
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.requests import CANCEL_FILE, PAUSE_FILE
from napari_dre_slcl.locks.holder import Holder
from napari_dre_slcl.locks.lock_file import RUN_LOCK, who_holds
from napari_dre_slcl.untrusted import read_json

__all__ = ["RunStatus", "Wish", "ask_run", "read_status"]

State = Literal["running", "paused", "finished", "failed", "cancelled", "lost", "unknown"]
Wish = Literal["pause", "continue", "cancel"]

_STATES = ("running", "paused", "finished", "failed", "cancelled")
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
    holder : Holder or None
        Who has the folder just now: machine, process, since when.
    """

    state: State
    started: datetime | None = None
    finished: datetime | None = None
    message: str = ""
    is_resumable: bool = False
    host: str = ""
    holder: Holder | None = None

    @property
    def is_active(self) -> bool:
        """Whether a process works on it, or holds still."""
        return self.state in ("running", "paused")

    @property
    def is_free(self) -> bool:
        """Whether no process works on it, or is about to."""
        return not self.is_active and self.holder is None


def read_status(run_dir: Path) -> RunStatus:
    """Return where the job of a run folder stands; never raises."""
    facts = _read(run_dir)
    holder = who_holds(run_dir / RUN_LOCK)
    if facts.get("state") in ("running", "paused") and _is_left_alone(run_dir, facts, holder):
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
        holder=holder,
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
            set_mark(run_dir / PAUSE_FILE)
        elif wish == "continue":
            (run_dir / PAUSE_FILE).unlink(missing_ok=True)
        else:
            set_mark(run_dir / CANCEL_FILE)
    except OSError as error:
        raise JobError(
            f"The run folder '{run_dir}' cannot be written: {error.strerror}. The run cannot be "
            "told anything from here."
        ) from error


def _read(run_dir: Path) -> dict[str, Any]:
    try:
        facts = read_json(run_dir / "status.json")
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _is_left_alone(run_dir: Path, facts: dict[str, Any], holder: Holder | None) -> bool:
    """Whether no process works on a folder whose status says that one does."""
    if holder is not None:
        return False
    if facts.get("host", platform.node()) != platform.node():
        # Its processes cannot be seen from here; but who ends well takes the lock away.
        return (run_dir / RUN_LOCK).exists()
    if _is_alive(facts.get("pid")):
        time.sleep(_CLOSING_S)  # it may be about to write how it has ended
    return True


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
