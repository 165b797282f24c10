"""Generates the built-in cohort with progress on the terminal."""

from __future__ import annotations

from pathlib import Path

from napari_dre_slcl.cli.progress import show_events
from napari_dre_slcl.jobs.messages import Progress

__all__ = ["generate"]


def generate(
    out: Path,
    n_slides: int,
    seed: int,
    side_px: int,
    cue_share: float = 1.0,
    cue_strength: float = 1.0,
) -> Path:
    """Generate the built-in cohort.

    Parameters
    ----------
    out : Path
        Folder to create.
    n_slides : int
        Number of slides.
    seed : int
        Same seed, same cohort.
    side_px : int
        Edge of a slide in pixels.
    cue_share, cue_strength : float
        How much of the mutation is to be seen, 1 for all.

    Returns
    -------
    Path
        The cohort table.
    """
    from napari_dre_slcl.cohort.synthetic import generate_cohort

    with show_events(as_json=False) as on_event:

        def on_progress(done: int, total: int) -> None:
            on_event(Progress(stage="Generating slides", done=done, total=total))

        return generate_cohort(
            out,
            n_slides,
            seed,
            side_px,
            on_progress,
            cue_share=cue_share,
            cue_strength=cue_strength,
        )
