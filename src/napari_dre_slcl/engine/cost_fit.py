"""The constants of the cost model, found from what small trainings took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from napari_dre_slcl.engine.cost_bytes import known_memory, memory_amounts
from napari_dre_slcl.engine.cost_model import COMPONENTS, component_of
from napari_dre_slcl.engine.cost_scale import Scale
from napari_dre_slcl.engine.cost_trial import Trace

__all__ = ["Fitted", "Measured", "by_component", "fit"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A training that was measured.

    Parameters
    ----------
    scale : Scale
        How large it was.
    seconds : dict of float
        By component.
    peak_bytes : float
        Of memory; 0 where it is not known.
    """

    scale: Scale
    seconds: dict[str, float]
    peak_bytes: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """Constants of the cost model.

    Parameters
    ----------
    seconds : dict
        Component -> unit -> seconds of one.
    memory : dict of float
        Unit -> bytes of one.
    """

    seconds: dict[str, dict[str, float]]
    memory: dict[str, float]


def by_component(trace: Trace) -> dict[str, float]:
    """Return the seconds of a trace by component."""
    found: dict[str, float] = {}
    for stage, seconds in trace.seconds.items():
        name = component_of(stage)
        found[name] = found.get(name, 0.0) + seconds
    return found


def fit(measured: Sequence[Measured]) -> Fitted:
    """Find the constants by least squares of relative errors, none of them negative.

    Parameters
    ----------
    measured : sequence of Measured
        At least as many trainings as a component has units, of different sizes.
    """
    seconds = {
        name: _solve(
            [amounts_of(one.scale) for one in measured],
            [one.seconds.get(name, 0.0) for one in measured],
        )
        for name, amounts_of in COMPONENTS.items()
    }
    memory: dict[str, float] = {}
    if all(one.peak_bytes for one in measured):
        memory = _solve(
            [memory_amounts(one.scale) for one in measured],
            [one.peak_bytes - sum(known_memory(one.scale).values()) for one in measured],
        )
    return Fitted(seconds, memory)


def _solve(amounts: Sequence[Mapping[str, float]], found: Sequence[float]) -> dict[str, float]:
    """Return the value of each unit; rows count by their relative error."""
    units = list(amounts[0])
    rows = [(row, value) for row, value in zip(amounts, found, strict=True) if value > 0]
    if not rows:
        return dict.fromkeys(units, 0.0)
    table = np.array([[row[unit] / value for unit in units] for row, value in rows])
    # Columns of very different size make the solver lose small ones.
    size = np.where(table.any(0), np.abs(table).max(0), 1.0)
    solved = nnls(table / size, np.ones(len(rows)))[0] / size
    return dict(zip(units, solved.tolist(), strict=True))
