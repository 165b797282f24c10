"""Finds out whether all processes of a training see the same run folder."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.atomic_file import set_mark
from napari_dre_slcl.engine.world import World

__all__ = ["check_shared_folder"]

_LOOK_EVERY_S = 0.2


def check_shared_folder(world: World, run_dir: Path, within_s: float = 20.0) -> None:
    """Refuse a run folder that one of the processes does not see; all must call this.

    Parameters
    ----------
    world : World
        The processes.
    run_dir : Path
        Folder that the first process has.
    within_s : float, default 20.0
        How late another machine may see what the first one writes.

    Raises
    ------
    JobError
        In all processes, if one does not find in time what the first one writes there.
    """
    if world.size == 1:
        return
    path = run_dir / world.from_main(f".seen-{secrets.token_hex(8)}")
    try:
        world.wait(_leave(path) if world.is_main else "")
        world.wait("" if world.is_main else _look_for(path, within_s))
    finally:
        if world.is_main:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _leave(path: Path) -> str:
    try:
        set_mark(path)
    except OSError as error:
        return f"The run folder '{path.parent}' cannot be written: {error.strerror}."
    return ""


def _look_for(path: Path, within_s: float) -> str:
    if _appears(path, within_s):
        return ""
    return (
        f"It does not see the run folder '{path.parent.absolute()}' of the first process. Put it "
        "on a disk that all machines share, under the same path."
    )


def _appears(path: Path, within_s: float) -> bool:
    """Whether a file is there within some seconds; a shared disk may show it late."""
    give_up_s = time.monotonic() + within_s
    while time.monotonic() < give_up_s:
        # To list a folder has a network's disk look again; to ask for one name may not.
        for folder in (path.parent.parent, path.parent):
            with suppress(OSError):
                if path.name in {found.name for found in folder.iterdir()}:
                    return True
        time.sleep(_LOOK_EVERY_S)
    return False
