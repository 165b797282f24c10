"""Loads in all processes of a training the model that the first one has saved."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import JobError, ModelError
from napari_dre_slcl.model.bundle import Bundle, load_bundle

__all__ = ["load_saved"]

_LOOK_EVERY_S = 0.2


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
