"""What every method's training looks like to the engine, whatever it does inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.pinned import PinnedSlide
from napari_dre_slcl.engine.run_state import RunState

__all__ = ["MethodRun", "ValidateNet"]

ValidateNet = Callable[[Any], dict[str, float]]
"""Network -> ``val/auc/<task>``."""


class MethodRun(Protocol):
    """One training of a method on a prepared cohort; made once the settings have proved sound.

    Attributes
    ----------
    config : DreSlclConfig
        The settings that it goes by.
    """

    config: DreSlclConfig

    @property
    def net(self) -> Any:
        """What is trained, and saved at the end."""
        ...

    def estimate(self, run_dir: Path) -> dict[str, float]:
        """Probe this machine and say what the run will take; ``config`` may change as well.

        Returns
        -------
        dict of float
            As `preflight` names it.
        """
        ...

    def try_out(self, run_dir: Path) -> None:
        """Refuse what cannot fit, and pick settings that are left open; may change ``config``."""
        ...

    def train(
        self,
        run_dir: Path,
        state: RunState,
        validate: ValidateNet | None,
        pinned: PinnedSlide | None = None,
    ) -> dict[str, str]:
        """Train ``net`` to the end.

        Parameters
        ----------
        run_dir : Path
            Where it may keep files.
        state : RunState
            Where to begin, or to go on.
        validate : callable, optional
            Called with the network after each epoch.
        pinned : PinnedSlide, optional
            Shown after each epoch, or at the end.

        Returns
        -------
        dict of str
            Training slides that could not be read, each with the reason.
        """
        ...

    def fitted_on(self) -> dict[str, list[str]]:
        """Return for everything that was fitted the slide_ids that it was fitted on."""
        ...
