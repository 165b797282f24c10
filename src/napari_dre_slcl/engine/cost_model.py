"""What a training of any size takes: seconds, from constants that this machine was measured with.

Seconds of a component are a sum of amounts times constants: so many slides, tiles, steps. The
amounts follow from what the engine does; the constants come from small trainings (`cost_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from napari_dre_slcl.engine.cost_bytes import checkpoint_bytes
from napari_dre_slcl.engine.cost_scale import Scale

__all__ = ["COMPONENTS", "Constants", "component_of", "seconds_of"]

Constants = Mapping[str, Mapping[str, float]]
"""Component -> unit -> seconds of one."""
Amounts = dict[str, float]

# Stages of a training as its Progress events name them; "then" is what follows a stage.
_STAGES = {
    "begin": "table and reports",
    "Opening slides": "opening slides",
    "Opening slides, then": "opening slides",
    "Finding tissue": "opening slides",
    "Finding features": "opening slides",
    "Finding tissue, then": "getting ready",
    "Finding features, then": "getting ready",
    "Filling the memory bank": "first pass",
    "Filling the memory bank, then": "codewords",
    "Refreshing the memory bank": "refills",
    "Refreshing the memory bank, then": "refills",
    "Training": "steps",
    "Training, then": "between epochs",
    "Validating": "validation",
    "Validating, then": "between epochs",
    "Predicting held-out slides": "test slides",
    "Predicting held-out slides, then": "test slides",
    "Predicting validation slides": "validation slides again",
    "Predicting validation slides, then": "validation slides again",
    "Making vectors of training slides": "vectors of training slides",
    "Making vectors of training slides, then": "vectors of training slides",
}


def component_of(stage: str) -> str:
    """Return the component that a stage of a training counts to."""
    return _STAGES.get(stage, "other")


def _table(scale: Scale) -> Amounts:
    return {"once": 1, "slide": scale.slides}


def _opening(scale: Scale) -> Amounts:
    # Every process opens every slide, and finds the tissue of its share.
    return {"slide": scale.slides, "tile": scale.slides * scale.tiles / scale.ranks}


def _ready(scale: Scale) -> Amounts:
    return {"once": 1, "slide": scale.slides, "tile": scale.own_tiles}


def _first_pass(scale: Scale) -> Amounts:
    return {
        "slide": scale.own_slides,
        "tile": scale.own_tiles,
        "meeting": _meetings(scale.own_slides, scale),
    }


def _codewords(scale: Scale) -> Amounts:
    # Fitted by the first process alone, on tiles of all slides; each indexes its own.
    sampled = scale.train_slides * min(scale.tiles, scale.sampled_tiles)
    return {
        "once": scale.codebook_fits,
        "sampled tile": sampled * scale.codebook_fits,
        "tile": scale.own_tiles * (scale.codebook_fits + scale.refills),
    }


def _steps(scale: Scale) -> Amounts:
    return {
        "step": scale.steps * scale.epochs,
        "slide": scale.own_slides * scale.epochs,
        "fresh tile": scale.own_slides * scale.fresh * scale.epochs,
        "meeting": _meetings(scale.steps * scale.epochs, scale),
    }


def _between(scale: Scale) -> Amounts:
    # Two checkpoints end an epoch, others come every so many steps.
    within = scale.steps * scale.epochs / scale.checkpoint_steps
    return {
        "epoch": scale.epochs,
        "checkpoint byte": (2 * scale.epochs + within) * checkpoint_bytes(scale) / scale.ranks,
        "meeting": _meetings(scale.epochs, scale),
    }


def _validation(scale: Scale) -> Amounts:
    n = _share(scale.val_slides, scale) * scale.epochs
    return {"slide": n, "tile": n * scale.tiles, "meeting": _meetings(n, scale)}


def _test(scale: Scale) -> Amounts:
    n = _share(scale.test_slides, scale)
    return {"once": 1, "slide": n, "tile": n * scale.tiles, "meeting": _meetings(n, scale)}


def _val_again(scale: Scale) -> Amounts:
    n = _share(scale.val_slides, scale)
    return {"once": 1, "slide": n, "tile": n * scale.tiles, "meeting": _meetings(n, scale)}


def _vectors(scale: Scale) -> Amounts:
    n = _share(scale.train_slides, scale) if scale.source == "features" else 0
    return {"slide": n, "tile": n * scale.tiles, "meeting": _meetings(n, scale)}


def _meetings(times: float, scale: Scale) -> float:
    """Return how often processes agree with each other, and write what they share; 0 for one."""
    return times if scale.ranks > 1 else 0


def _share(slides: int, scale: Scale) -> int:
    """Return the slides of the process that has most, as whole slides are dealt out."""
    return math.ceil(slides / scale.ranks)


COMPONENTS: dict[str, Callable[[Scale], Amounts]] = {
    "table and reports": _table,
    "opening slides": _opening,
    "getting ready": _ready,
    "first pass": _first_pass,
    "codewords": _codewords,
    "steps": _steps,
    "between epochs": _between,
    "validation": _validation,
    "test slides": _test,
    "validation slides again": _val_again,
    "vectors of training slides": _vectors,
}
"""What a training is made of, in its order, and the amounts that each part's time is made of, for
the process that has most to do."""


def seconds_of(scale: Scale, constants: Constants) -> dict[str, float]:
    """Return the seconds of each component of a training; the network's are not among them.

    Parameters
    ----------
    scale : Scale
        How large the training is.
    constants : mapping
        As `cost_fit.fit` finds them, of the same encoder on the same kind of machine.
    """
    found = {}
    for name, amounts_of in COMPONENTS.items():
        known = constants.get(name, {})
        found[name] = math.fsum(n * known.get(unit, 0.0) for unit, n in amounts_of(scale).items())
    # A refill walks over all tiles as the first pass does.
    found["refills"] = scale.refills * found["first pass"]
    return {name: seconds for name, seconds in found.items() if seconds}


def total(parts: Iterable[float]) -> float:
    """Return a sum that does not depend on the order."""
    return math.fsum(parts)
