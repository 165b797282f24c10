"""Saves a trained model once, and loads it in all processes of the training."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import JobError, ModelError
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle

__all__ = ["load_saved", "save_once"]

_LOOK_EVERY_S = 0.2


def save_once(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> None:
    """Save a model, unless this very one lies there: a process killed in its test has left it.

    Parameters
    ----------
    bundle : Bundle
        What to write.
    folder : Path
        Target; another model there is replaced.
    facts : dict
        As of `save_bundle`.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    if not _is_there(bundle, folder):
        shutil.rmtree(folder, ignore_errors=True)
        save_bundle(bundle, folder, facts)


def _is_there(bundle: Bundle, folder: Path) -> bool:
    try:
        found = load_bundle(folder)
    except ModelError:
        return False
    ours, theirs = bundle.net.state_dict(), found.net.state_dict()
    return (
        found.config == bundle.config
        and found.tasks == bundle.tasks
        and ours.keys() == theirs.keys()
        and all(torch.equal(value.detach().cpu(), theirs[name]) for name, value in ours.items())
    )


def load_saved(world: World, folder: Path, within_s: float = 60.0) -> Bundle:
    """Load a model folder of the shared disk; all processes must call this.

    Parameters
    ----------
    world : World
        The processes.
    folder : Path
        As the first process has written it.
    within_s : float, default 60.0
        How late another machine may see what the first one writes.

    Returns
    -------
    Bundle
        The same weights in all.

    Raises
    ------
    ModelError, JobError
        In all processes, if one cannot load them in time.
    """
    loaded: list[Bundle] = []

    def load() -> str:
        loaded.append(load_bundle(folder))
        return loaded[0].weights_sha256

    sha256 = world.main_does(load) or ""
    return world.all_do(lambda: loaded[0] if loaded else _seen(folder, sha256, within_s))


def _seen(folder: Path, sha256: str, within_s: float) -> Bundle:
    """Return the model once it is there: an earlier try may have left another in its place."""
    give_up_s = time.monotonic() + within_s
    while True:
        # To list a folder has a network's disk look again.
        with suppress(OSError):
            list(folder.parent.iterdir())
        problem = f"'{folder}' holds another model than the one that was trained."
        try:
            bundle = load_bundle(folder)
        except ModelError as error:
            problem = str(error)
        else:
            if bundle.weights_sha256 == sha256:
                return bundle
        if time.monotonic() > give_up_s:
            raise JobError(
                f"It does not see what the first process has saved: {problem} Put the run folder "
                "on a disk that all machines share, then go on with 'dre-slcl resume "
                f"{folder.parent}'."
            )
        time.sleep(_LOOK_EVERY_S)
